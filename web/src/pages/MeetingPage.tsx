import { useCallback, useMemo } from 'react';
import type { TrackId } from '@plenary/cluster/protocol';
import { ChatPanel } from '../components/ChatPanel.tsx';
import { ControlBar } from '../components/ControlBar.tsx';
import { Icon, Logo } from '../components/Icon.tsx';
import { ConnectionBanner } from '../components/Notices.tsx';
import { PeoplePanel } from '../components/PeoplePanel.tsx';
import { RemoteSound, playAllSound } from '../components/RemoteSound.tsx';
import { Stage } from '../components/Stage.tsx';
import { lowerHand } from '../features/hands/hands.ts';
import type { MeetingSnapshot } from '../client/index.ts';
import type { LocalMediaSnapshot } from '../state/local-media.ts';
import type { RoomController } from '../state/room-controller.ts';
import type { UiState } from '../state/ui-state.ts';
import { BY_INVITATION, NO_SIGNAL } from '../state/notices.ts';
import { headCount, isViewer } from '../state/people.ts';
import { hasAddress } from '../state/route.ts';
import { buildTiles } from '../state/tiles.ts';

export interface MeetingPageProps {
  readonly controller: RoomController;
  readonly snapshot: MeetingSnapshot;
  readonly media: LocalMediaSnapshot;
  readonly ui: UiState;
}

/** The page during the meeting. */
export function MeetingPage({ controller, snapshot, media, ui }: MeetingPageProps) {
  const tiles = useMemo(() => buildTiles(snapshot), [snapshot]);
  const showVisible = useCallback(
    (visible: ReadonlyMap<TrackId, number>) => {
      controller.meeting.setWantedVideo(visible);
    },
    [controller],
  );
  const soundBlocked = useCallback(
    (isBlocked: boolean) => {
      controller.setSoundBlocked(isBlocked);
    },
    [controller],
  );
  const peerCount = headCount(snapshot);
  // The setting of the service applies until an edge has sent that of this room.
  const leadsHere = hasAddress(controller.route.roomId);
  const isLinkOpen = leadsHere && (snapshot.openToGuests ?? ui.isLinkOpen);
  const withoutSignal = tiles.flatMap(({ name, trouble }) => (trouble === 'no-signal' ? [name] : []));
  return (
    <div className={`meeting ${ui.panel === 'none' ? '' : 'has-panel'}`} data-testid="meeting">
      <header className="meeting-top">
        <Logo />
        <span className="room-title" data-testid="room-name">
          {controller.route.roomId}
        </span>
        {isLinkOpen ? (
          <button
            className="button is-quiet is-small"
            onClick={() => {
              void controller.copyLink();
            }}
            data-testid="copy-link-button"
          >
            <Icon name="link" size={17} /> <span>Copy link</span>
          </button>
        ) : null}
        <span className="people-count" data-testid="people-count" data-count={peerCount}>
          <Icon name="people" size={17} /> {peerCount}
        </span>
      </header>
      <ConnectionBanner snapshot={snapshot} unsent={ui.unsent} />
      <p className="sr-only" role="status">
        {withoutSignal.length === 0 ? '' : `${NO_SIGNAL}: ${withoutSignal.join(', ')}`}
      </p>
      <main className="meeting-main">
        <div className="meeting-stage">
          <Stage tiles={tiles} onVisible={showVisible} />
          {peerCount <= 1 ? (
            <div className="alone" data-testid="alone-hint">
              <p>Nobody else is here at the moment.</p>
              {isLinkOpen ? (
                <button
                  className="button is-small"
                  onClick={() => {
                    void controller.copyLink();
                  }}
                >
                  <Icon name="link" size={17} /> Copy the link for others
                </button>
              ) : (
                <p className="fine" data-testid="by-invitation">
                  {BY_INVITATION}
                </p>
              )}
            </div>
          ) : null}
          {ui.soundBlocked ? (
            <button
              className="button hear"
              onClick={() => {
                playAllSound().then(
                  () => controller.setSoundBlocked(false),
                  () => controller.toast('The browser still refuses to play sound.', 'problem'),
                );
              }}
              data-testid="hear-button"
            >
              <Icon name="sound" size={20} /> Click to hear the others
            </button>
          ) : null}
        </div>
        {ui.panel === 'people' ? (
          <PeoplePanel
            snapshot={snapshot}
            onClose={() => controller.closePanel()}
            onMore={() => controller.loadMorePeople()}
            onLowerHand={(peerId) => controller.run(lowerHand(controller.meeting, peerId))}
          />
        ) : null}
        {ui.panel === 'chat' ? (
          <ChatPanel
            snapshot={snapshot}
            onClose={() => controller.closePanel()}
            onPost={(text) => controller.meeting.postChat(text)}
            onRetry={(requestId) => controller.meeting.retryChat(requestId)}
          />
        ) : null}
      </main>
      <RemoteSound tracks={snapshot.remoteTracks.values()} blocked={soundBlocked} />
      <ControlBar
        controller={controller}
        snapshot={snapshot}
        media={media}
        ui={ui}
        sharing={snapshot.localTracks.has('screen')}
        watches={isViewer(snapshot)}
        peerCount={peerCount}
      />
    </div>
  );
}
