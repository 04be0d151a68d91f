import type { PeerId } from '@plenary/cluster/protocol';
import type { MeetingSnapshot } from '../../client/index.ts';
import { Icon } from '../../components/Icon.tsx';
import { MOST_HANDS_LISTED, mayLower, raisedHands } from './hands.ts';

export interface HandListProps {
  readonly snapshot: Pick<MeetingSnapshot, 'room' | 'self'>;
  readonly onLower: (peerId: PeerId) => void;
}

/** The list of raised hands, in their order; empty without any. */
export function HandList({ snapshot, onLower }: HandListProps) {
  const { room, self } = snapshot;
  const raised = [...raisedHands(room).keys()];
  const unlisted = raised.length - MOST_HANDS_LISTED;
  if (raised.length === 0) return null;
  return (
    <section className="hands" aria-labelledby="hands-title" data-testid="hands">
      <h3 id="hands-title">
        Raised hands<span className="count">{raised.length}</span>
      </h3>
      <ol>
        {raised.slice(0, MOST_HANDS_LISTED).map((peerId) => {
          const name = room.peers.get(peerId)?.displayName ?? 'Guest';
          return (
            <li key={peerId} className="raised-hand" data-testid="raised-hand" data-peer-id={peerId}>
              <Icon name="hand" size={18} />
              <span className="person-name">
                {name}
                {peerId === self?.peerId ? ' (you)' : ''}
              </span>
              {mayLower(snapshot, peerId) ? (
                <button
                  className="button is-quiet is-small"
                  aria-label={peerId === self?.peerId ? 'Lower your hand' : `Lower the hand of ${name}`}
                  onClick={() => {
                    onLower(peerId);
                  }}
                  data-testid="lower-hand-button"
                >
                  Lower
                </button>
              ) : null}
            </li>
          );
        })}
      </ol>
      {unlisted > 0 ? <p className="fine">and {unlisted} more</p> : null}
    </section>
  );
}
