import { sha256 } from '@noble/hashes/sha2.js';
import type { PeerId, RequestId } from '@plenary/cluster/protocol';

/**
 * What the cluster calls the message that a peer posts by a request (docs/protocol.md, `chat.post`). By it a client that joined
 * anew knows which of its messages were posted although no answer came.
 */
export function chatMessageId(peerId: PeerId, requestId: RequestId): string {
  // Not by WebCrypto, which pages by plain HTTP do not have.
  const digest = sha256(new TextEncoder().encode(`${peerId}|${requestId}`));
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .slice(0, 22);
}
