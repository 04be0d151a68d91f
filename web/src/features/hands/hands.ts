/** Raised hands as the page knows them: whose are up, who may lower them, and what a person is told. Pure but for what asks the edge. */
import {
  HAND,
  HAND_PERMISSIONS,
  isPermitted,
  type ClientRequestInput,
  type HAND_REQUESTS,
  type PeerId,
} from '@plenary/cluster/protocol';
import { entriesOfKind, type Meeting, type MeetingSnapshot, type RoomState } from '../../client/index.ts';

type Room = Pick<RoomState, 'entries'>;

/** Hands that are drawn in the list; of the others the number. */
export const MOST_HANDS_LISTED = 30;
/** Where more hands are up than this, nobody is told of each further one. */
const MOST_HANDS_TOLD = 3;

/** Of the last rooms that were asked about: each state of a room is asked about by every tile. */
const ORDERS = new WeakMap<RoomState['entries'], ReadonlyMap<PeerId, number>>();

/** Whose hands are up, each with its place, from 1. */
export function raisedHands({ entries }: Room): ReadonlyMap<PeerId, number> {
  const known = ORDERS.get(entries);
  if (known !== undefined) return known;
  const peerIds = entriesOfKind(entries, HAND).flatMap(({ entry }) => entry.peerId ?? []);
  const order = new Map(peerIds.map((peerId, index) => [peerId, index + 1]));
  ORDERS.set(entries, order);
  return order;
}

/** Whether a person may lower a hand: their own, or as a host or moderator anybody's. */
export function mayLower({ self }: Pick<MeetingSnapshot, 'self'>, peerId: PeerId): boolean {
  return (
    self !== undefined && (self.peerId === peerId || isPermitted(HAND_PERMISSIONS, 'lowerOthers', self.role))
  );
}

/** Whose hands went up between two states of a room; of who comes in nobody is news. */
export function handsRaised(before: RoomState, after: RoomState): readonly PeerId[] {
  if (before.lastEventId === '0-0' || before.entries === after.entries) return [];
  const were = raisedHands(before);
  return [...raisedHands(after).keys()].filter((peerId) => !were.has(peerId));
}

/**
 * What a person is told of hands that went up: nothing of their own, and nothing where so many are up that the list says it better.
 */
export function handsText(
  before: RoomState,
  after: RoomState,
  ownPeerIds: ReadonlySet<PeerId>,
): string | undefined {
  if (raisedHands(after).size > MOST_HANDS_TOLD) return undefined;
  const names = handsRaised(before, after)
    .filter((peerId) => !ownPeerIds.has(peerId))
    .map((peerId) => after.peers.get(peerId)?.displayName ?? 'Somebody');
  if (names.length === 0) return undefined;
  return names.length === 1 ? `${names[0]} raised a hand` : `${names.join(' and ')} raised their hands`;
}

/** What of a meeting is used here. */
interface HandsMeeting {
  readonly getSnapshot: () => Pick<MeetingSnapshot, 'room' | 'self' | 'ownPeerIds'>;
  readonly subscribe: Meeting['subscribe'];
  readonly request: (
    name: keyof typeof HAND_REQUESTS,
    payload: ClientRequestInput<'hand.lower'>,
  ) => Promise<unknown>;
}

/** Raises one’s hand, or lowers it where it is up. @throws PlenaryError what the edge refuses with */
export async function toggleHand(meeting: Pick<HandsMeeting, 'getSnapshot' | 'request'>): Promise<void> {
  const { self, room } = meeting.getSnapshot();
  const isUp = self !== undefined && raisedHands(room).has(self.peerId);
  await meeting.request(isUp ? 'hand.lower' : 'hand.raise', {});
}

/** Lowers somebody’s hand. @throws PlenaryError what the edge refuses with */
export async function lowerHand(meeting: Pick<HandsMeeting, 'request'>, peerId: PeerId): Promise<void> {
  await meeting.request('hand.lower', { peerId });
}

/** Tells whenever hands go up that a person is to hear of. */
export function watchHands(
  meeting: Pick<HandsMeeting, 'getSnapshot' | 'subscribe'>,
  tell: (text: string) => void,
): void {
  let before = meeting.getSnapshot().room;
  meeting.subscribe(() => {
    const { room, ownPeerIds } = meeting.getSnapshot();
    const text = handsText(before, room, ownPeerIds);
    before = room;
    if (text !== undefined) tell(text);
  });
}
