import type { ChatMessage, PeerId, RosterPeer } from '@plenary/cluster/protocol';
import type { MeetingEvents } from './meeting-types.ts';
import type { RoomState } from './room-state.ts';
import type { TypedEvents } from './typed-events.ts';

export type RoomChange =
  | { readonly type: 'peer-joined'; readonly peer: RosterPeer }
  | { readonly type: 'peer-left'; readonly peerId: PeerId; readonly displayName: string | undefined }
  | { readonly type: 'chat-received'; readonly message: ChatMessage };

/**
 * Returns the changes between two states of the room that a person is notified of. The first state brings none.
 *
 * @param ownPeerIds - current and previous ids of this person, who is not notified about themselves
 */
export function roomChanges(
  before: RoomState,
  after: RoomState,
  ownPeerIds: ReadonlySet<PeerId>,
): readonly RoomChange[] {
  if (before.lastEventId === '0-0' || before === after) return [];
  const changes: RoomChange[] = [];
  if (before.peers !== after.peers) {
    for (const peer of after.peers.values()) {
      // A roster page lists peers who joined long before, so a new page counts as no join.
      const joined = !before.peers.has(peer.peerId) && before.nextCursor === after.nextCursor;
      if (joined && !ownPeerIds.has(peer.peerId)) changes.push({ type: 'peer-joined', peer });
    }
    // A peer that is missing on the first page of a new snapshot may be on a later page.
    const isWhole = after.nextCursor === undefined || before.nextCursor === after.nextCursor;
    for (const peer of isWhole ? before.peers.values() : []) {
      if (!after.peers.has(peer.peerId) && !ownPeerIds.has(peer.peerId)) {
        changes.push({ type: 'peer-left', peerId: peer.peerId, displayName: peer.displayName });
      }
    }
  }
  if (before.chat !== after.chat) {
    const known = new Set(before.chat.map(({ messageId }) => messageId));
    for (const message of after.chat) {
      if (!known.has(message.messageId) && !ownPeerIds.has(message.peerId))
        changes.push({ type: 'chat-received', message });
    }
  }
  return changes;
}

/** Emits the changes as events. */
export function announceChanges(events: TypedEvents<MeetingEvents>, changes: readonly RoomChange[]): void {
  for (const change of changes) {
    if (change.type === 'peer-joined') events.emit('peer-joined', change.peer);
    else if (change.type === 'peer-left') events.emit('peer-left', change);
    else events.emit('chat-received', change.message);
  }
}
