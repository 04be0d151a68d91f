import type { TrackSource } from '@plenary/cluster/protocol';
import type { MeetingSnapshot } from '../client/index.ts';
import { bannerText } from '../state/notices.ts';
import type { Toast } from '../state/ui-state.ts';
import { Icon } from './Icon.tsx';

/** Short messages that disappear automatically. */
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
        // The role is on a frame around the button: on the button itself, it would replace the role of a button.
        <div key={id} className="toast-frame" role={tone === 'problem' ? 'alert' : undefined}>
          <button className={`toast is-${tone}`} onClick={() => onDismiss(id)} data-testid="toast">
            {tone === 'problem' ? <Icon name="warning" size={18} /> : null}
            <span>{text}</span>
          </button>
        </div>
      ))}
    </div>
  );
}

/** Shows that a part of the meeting is interrupted. */
export function ConnectionBanner({
  snapshot,
  unsent,
}: {
  readonly snapshot: MeetingSnapshot;
  readonly unsent: readonly TrackSource[];
}) {
  const text = bannerText(snapshot, unsent);
  return (
    <div
      className={`banner ${text === undefined ? '' : 'is-shown'}`}
      role="status"
      data-testid="connection-state"
      data-phase={snapshot.connection.phase}
      data-media={snapshot.media}
      data-flow={snapshot.flow}
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
