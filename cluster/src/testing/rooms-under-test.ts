/** What the contract suites of the ports of rooms have in common: a room, and people who come into it. */
import type { Epoch } from '../protocol/edge-media.ts';
import type { PeerId } from '../protocol/ids.ts';
import type { LoggedEvent } from '../protocol/room.ts';
import type { PlaceRequest } from '../room/placement-store.ts';
import type { StoredTrack } from '../room/room-log.ts';
import type { RoomStores } from '../room/room-stores.ts';
import { edge, mediaNode, peer, request, room, track } from './samples.ts';

export interface RoomsUnderTest {
  readonly stores: RoomStores;
  /** How many keys or rooms the store holds; zero when everything was freed. */
  remainingCount(): Promise<number>;
  close(): Promise<void>;
}

export const ROOM = room('standup');

export const placement = (name: string, changes: Partial<PlaceRequest> = {}): PlaceRequest => ({
  roomId: ROOM,
  peerId: peer(name),
  requestId: request(`join-${name}`),
  edgeId: edge('edge-a'),
  mediaNodeId: mediaNode('node-a'),
  maxPeers: 1_000,
  ...changes,
});

export const trackOf = (name: string, peerId: PeerId, epoch: Epoch): StoredTrack => ({
  trackId: track(name),
  peerId,
  kind: 'video',
  source: 'camera',
  paused: false,
  homeNodeId: mediaNode('node-a'),
  epoch,
});

/** Places somebody in the room and enters them into the roster. */
export async function joinRoom({ placements, roomLog }: RoomStores, name: string) {
  const placed = await placements.placePeer(placement(name));
  const joined = await roomLog.joinPeer(
    ROOM,
    { peerId: placed.peerId, displayName: `${name} | Smith`, role: 'speaker' },
    placed.epoch,
  );
  return { ...placed, ...joined };
}

export const isChain = (events: readonly LoggedEvent[]): boolean =>
  events.every((event, index) => index === 0 || event.previousId === events[index - 1]?.id);
