import type { PeerId } from '@plenary/cluster/protocol';
import type { LocalTrack, MeetingSnapshot } from '../client/index.ts';
import { HandList } from '../features/hands/HandList.tsx';
import { headCount, peopleIn } from '../state/people.ts';
import { Avatar } from './Avatar.tsx';
import { Icon } from './Icon.tsx';
import { PanelFrame } from './PanelFrame.tsx';

export interface PeoplePanelProps {
  readonly snapshot: MeetingSnapshot;
  readonly onClose: () => void;
  readonly onMore: () => void;
  readonly onLowerHand: (peerId: PeerId) => void;
}

function isHeard(microphone: LocalTrack | undefined): boolean {
  return microphone?.paused === false && microphone.status !== 'failed';
}

/** The people in the meeting, as far as the roster is loaded. */
export function PeoplePanel({ snapshot, onClose, onMore, onLowerHand }: PeoplePanelProps) {
  const { room, self, localTracks, speakers } = snapshot;
  const heard = new Set(
    [...room.tracks.values()]
      .filter(({ source, paused }) => source === 'microphone' && !paused)
      .map(({ peerId }) => peerId),
  );
  if (self !== undefined && isHeard(localTracks.get('microphone'))) heard.add(self.peerId);
  const people = peopleIn(snapshot);
  const count = headCount(snapshot);
  const unlisted = count - people.length;
  return (
    <PanelFrame title="People" count={count} onClose={onClose} testId="people-panel">
      <HandList snapshot={snapshot} onLower={onLowerHand} />
      <ul className="people" data-testid="people-list">
        {people.map((peer) => (
          <li key={peer.peerId} className="person" data-testid="person" data-peer-id={peer.peerId}>
            <Avatar name={peer.displayName} id={peer.peerId} size={36} />
            <span className="person-text">
              <span className="person-name">
                {peer.displayName}
                {peer.peerId === self?.peerId ? ' (you)' : ''}
              </span>
              {peer.role === 'speaker' ? null : <span className="person-role">{peer.role}</span>}
            </span>
            <span
              className={`person-mic ${speakers.includes(peer.peerId) ? 'is-speaking' : ''}`}
              title={heard.has(peer.peerId) ? 'Microphone on' : 'Muted'}
              data-testid="person-mic"
              data-muted={!heard.has(peer.peerId)}
            >
              <Icon name={heard.has(peer.peerId) ? 'mic' : 'mic-off'} size={18} />
              <span className="sr-only">{heard.has(peer.peerId) ? 'microphone on' : 'muted'}</span>
            </span>
          </li>
        ))}
      </ul>
      {room.nextCursor === undefined ? null : (
        <button className="button is-quiet" onClick={onMore} data-testid="more-people-button">
          Show more{unlisted > 0 ? ` (${unlisted} not listed)` : ''}
        </button>
      )}
    </PanelFrame>
  );
}
