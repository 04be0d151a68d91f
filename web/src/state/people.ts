import type { RosterPeer } from '@plenary/cluster/protocol';
import type { MeetingSnapshot } from '../client/index.ts';

type Present = Pick<MeetingSnapshot, 'room' | 'self' | 'ownPeerIds'>;

/** The people that are loaded, oneself once: whom one was before a rejoin the room holds a little longer. */
export function peopleIn({ room, self, ownPeerIds }: Present): readonly RosterPeer[] {
  return [...room.peers.values()].filter(({ peerId }) => peerId === self?.peerId || !ownPeerIds.has(peerId));
}

/** How many people are in the meeting, oneself once. */
export function headCount(present: Present): number {
  const { room } = present;
  return room.peerCount - (room.peers.size - peopleIn(present).length);
}

/** Whether a person is here to watch and listen, and can neither be heard nor seen. */
export function onlyWatches({ self }: Pick<MeetingSnapshot, 'self'>): boolean {
  return self?.role === 'viewer';
}
