import { useEffect } from 'react';
import { Breakdown } from './components/Breakdown.tsx';
import { Toasts } from './components/Notices.tsx';
import { useStore } from './hooks/use-store.ts';
import { EndPage } from './pages/EndPage.tsx';
import { InvitationPage } from './pages/InvitationPage.tsx';
import { LandingPage } from './pages/LandingPage.tsx';
import { MeetingPage } from './pages/MeetingPage.tsx';
import { PreJoinPage } from './pages/PreJoinPage.tsx';
import { isActive } from './client/index.ts';
import type { RoomController } from './state/room-controller.ts';
import type { PageRoute } from './state/route.ts';

/** The page of one room: before, during and after the meeting. */
export function RoomApp({ controller }: { readonly controller: RoomController }) {
  const snapshot = useStore(controller.meeting);
  const media = useStore(controller.media);
  const ui = useStore(controller.ui);
  const { connection } = snapshot;
  const inside = connection.phase === 'joined' || connection.phase === 'reconnecting';
  useEffect(() => {
    document.title = inside ? `${controller.route.roomId} · Plenary` : 'Plenary';
  }, [inside, controller]);

  const props = { controller, snapshot, media, ui };
  const ended =
    (connection.phase === 'left' || connection.phase === 'failed') && !ui.isPreJoin ? connection : undefined;
  return (
    <>
      {inside ? (
        <MeetingPage {...props} />
      ) : ui.needsInvitation && !isActive(connection) ? (
        <InvitationPage roomId={controller.route.roomId} />
      ) : ended !== undefined ? (
        <EndPage
          roomId={controller.route.roomId}
          connection={ended}
          onRejoin={() => {
            controller.showPreJoin();
          }}
          onJoinAsGuest={controller.canJoinAsGuest ? () => controller.joinAsGuest() : undefined}
        />
      ) : (
        <PreJoinPage {...props} />
      )}
      <Toasts toasts={ui.toasts} onDismiss={(id) => controller.dismissToast(id)} />
    </>
  );
}

/** Chooses the page for the address. */
export function App({
  route,
  controller,
}: {
  readonly route: PageRoute;
  readonly controller: RoomController | undefined;
}) {
  return (
    <Breakdown onBreakdown={() => controller?.leaveNow()}>
      {controller !== undefined ? (
        <RoomApp controller={controller} />
      ) : route.page === 'bad-room' ? (
        <LandingPage badName={route.name} />
      ) : (
        <LandingPage />
      )}
    </Breakdown>
  );
}
