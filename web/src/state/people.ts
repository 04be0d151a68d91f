import type { RosterPeer } from '@plenary/cluster/protocol';
import type { MeetingSnapshot } from '../client/index.ts';

type Present = Pick<MeetingSnapshot, 'room' | 'self' | 'ownPeerIds'>;

/** The loaded peers, without previous peers of this person, which stay in the room for a while after a rejoin. */
export function peopleIn({ room, self, ownPeerIds }: Present): readonly RosterPeer[] {
  return [...room.peers.values()].filter(({ peerId }) => peerId === self?.peerId || !ownPeerIds.has(peerId));
}

/** The number of people in the meeting, without previous peers of this person. */
export function headCount(present: Present): number {
  const { room } = present;
  return room.peerCount - (room.peers.size - peopleIn(present).length);
}

/** Whether the person is a viewer, who watches and listens but sends nothing. */
export function isViewer({ self }: Pick<MeetingSnapshot, 'self'>): boolean {
  return self?.role === 'viewer';
}
