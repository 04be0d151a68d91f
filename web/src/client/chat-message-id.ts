import { sha256 } from '@noble/hashes/sha2.js';
import type { PeerId, RequestId } from '@plenary/cluster/protocol';

/**
 * Computes the id that the cluster gives to a peer's chat message (docs/protocol.md, `chat.post`). After a rejoin, the client
 * recognizes by this id which of its unanswered messages were posted. The same function for edges is `chatMessageId` in
 * `cluster/src/room/room-log.ts`; both must return the same id.
 */
export function chatMessageId(peerId: PeerId, requestId: RequestId): string {
  // WebCrypto is missing on pages served over plain HTTP.
  const digest = sha256(new TextEncoder().encode(`${peerId}|${requestId}`));
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .slice(0, 22);
}
