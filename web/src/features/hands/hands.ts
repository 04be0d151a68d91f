/** Raised hands on the page: which are up, who may lower them, and which toasts appear. Only the requests to the edge are not pure. */
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

/** Longest list of hands; for the others the page shows only their number. */
export const MOST_HANDS_LISTED = 30;
/** With more raised hands than this, no toast announces a further one. */
const MOST_HANDS_ANNOUNCED = 3;

/** The computed order for each state of a room, because every tile asks for it. */
const ORDERS = new WeakMap<RoomState['entries'], ReadonlyMap<PeerId, number>>();

/** The peers with a raised hand, each with its position, from 1. */
export function raisedHands({ entries }: Room): ReadonlyMap<PeerId, number> {
  const known = ORDERS.get(entries);
  if (known !== undefined) return known;
  const peerIds = entriesOfKind(entries, HAND).flatMap(({ entry }) => entry.peerId ?? []);
  const order = new Map(peerIds.map((peerId, index) => [peerId, index + 1]));
  ORDERS.set(entries, order);
  return order;
}

/** Whether the user may lower a hand: their own, or as host or moderator that of anyone. */
export function mayLower({ self }: Pick<MeetingSnapshot, 'self'>, peerId: PeerId): boolean {
  return (
    self !== undefined && (self.peerId === peerId || isPermitted(HAND_PERMISSIONS, 'lowerOthers', self.role))
  );
}

/** The hands that went up between two states of a room. Hands that were up before the user joined do not count. */
export function handsRaised(before: RoomState, after: RoomState): readonly PeerId[] {
  if (before.lastEventId === '0-0' || before.entries === after.entries) return [];
  const raisedBefore = raisedHands(before);
  return [...raisedHands(after).keys()].filter((peerId) => !raisedBefore.has(peerId));
}

/** The toast for hands that went up: none for the user's own hand, and none when so many are up that the list shows it better. */
export function handsText(
  before: RoomState,
  after: RoomState,
  ownPeerIds: ReadonlySet<PeerId>,
): string | undefined {
  if (raisedHands(after).size > MOST_HANDS_ANNOUNCED) return undefined;
  const names = handsRaised(before, after)
    .filter((peerId) => !ownPeerIds.has(peerId))
    .map((peerId) => after.peers.get(peerId)?.displayName ?? 'Somebody');
  if (names.length === 0) return undefined;
  return names.length === 1 ? `${names[0]} raised a hand` : `${names.join(' and ')} raised their hands`;
}

/** The part of a meeting that hands use. */
interface HandsMeeting {
  readonly getSnapshot: () => Pick<MeetingSnapshot, 'room' | 'self' | 'ownPeerIds'>;
  readonly subscribe: Meeting['subscribe'];
  readonly request: (
    name: keyof typeof HAND_REQUESTS,
    payload: ClientRequestInput<'hand.lower'>,
  ) => Promise<unknown>;
}

/** Raises the user's hand, or lowers it if it is up. @throws PlenaryError the edge's refusal */
export async function toggleHand(meeting: Pick<HandsMeeting, 'getSnapshot' | 'request'>): Promise<void> {
  const { self, room } = meeting.getSnapshot();
  const isUp = self !== undefined && raisedHands(room).has(self.peerId);
  await meeting.request(isUp ? 'hand.lower' : 'hand.raise', {});
}

/** Lowers a peer's hand. @throws PlenaryError the edge's refusal */
export async function lowerHand(meeting: Pick<HandsMeeting, 'request'>, peerId: PeerId): Promise<void> {
  await meeting.request('hand.lower', { peerId });
}

/** Shows a toast when other hands go up. */
export function watchHands(
  meeting: Pick<HandsMeeting, 'getSnapshot' | 'subscribe'>,
  showToast: (text: string) => void,
): void {
  let before = meeting.getSnapshot().room;
  meeting.subscribe(() => {
    const { room, ownPeerIds } = meeting.getSnapshot();
    const text = handsText(before, room, ownPeerIds);
    before = room;
    if (text !== undefined) showToast(text);
  });
}
