import type { PeerId, RequestId } from '@plenary/cluster/protocol';

/**
 * What the cluster calls the message that a peer posts by a request (docs/protocol.md, `chat.post`). By it a client that joined
 * anew knows which of its messages were posted although no answer came.
 */
export async function chatMessageId(peerId: PeerId, requestId: RequestId): Promise<string> {
  const bytes = new TextEncoder().encode(`${peerId}|${requestId}`);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .slice(0, 22);
}
