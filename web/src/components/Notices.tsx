import type { MeetingSnapshot } from '../client/index.ts';
import type { Toast } from '../state/room-controller.ts';
import { Icon } from './Icon.tsx';

/** Short messages that go away by themselves. */
export function Toasts({
  toasts,
  onDismiss,
}: {
  readonly toasts: readonly Toast[];
  readonly onDismiss: (id: number) => void;
}) {
  return (
    <div className="toasts" role="status" aria-live="polite" data-testid="toasts">
      {toasts.map(({ id, text, tone }) => (
        <button key={id} className={`toast is-${tone}`} onClick={() => onDismiss(id)} data-testid="toast">
          {tone === 'problem' ? <Icon name="warning" size={18} /> : null}
          <span>{text}</span>
        </button>
      ))}
    </div>
  );
}

/** What the banner says; undefined while all is well. */
function bannerText({ connection, media }: MeetingSnapshot): string | undefined {
  if (connection.phase === 'reconnecting') {
    return media === 'connected'
      ? 'Reconnecting. You can still see and hear each other.'
      : 'Connection lost. Reconnecting.';
  }
  return media === 'reconnecting' ? 'Sound and picture are coming back.' : undefined;
}

/** Tells when the meeting runs with something missing. */
export function ConnectionBanner({ snapshot }: { readonly snapshot: MeetingSnapshot }) {
  const text = bannerText(snapshot);
  return (
    <div
      className={`banner ${text === undefined ? '' : 'is-shown'}`}
      role="status"
      data-testid="connection-state"
      data-phase={snapshot.connection.phase}
      data-media={snapshot.media}
    >
      {text === undefined ? null : (
        <>
          <span className="spinner" aria-hidden="true" />
          {text}
        </>
      )}
    </div>
  );
}
