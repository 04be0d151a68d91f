import type { types } from 'mediasoup';

/** Of all in an offer: the schema of the protocol takes no more. */
const MAX_CANDIDATES = 16;
/** By which mediasoup sets each next candidate back; UDP stays before TCP by ten times that. */
const PRIORITY_STEP = 100 * 256;

/**
 * A candidate for each address and protocol. mediasoup makes one for each socket, while one socket may be reached by several
 * addresses, and several sockets by one.
 * @param made - by mediasoup; all of one worker have one port
 * @param addresses - as clients reach it, the preferred one first
 */
export function offeredCandidates(
  made: readonly types.IceCandidate[],
  addresses: readonly string[],
): types.IceCandidate[] {
  const protocols = (['udp', 'tcp'] as const).flatMap((protocol) => {
    const [first] = made.filter((candidate) => candidate.protocol === protocol);
    return first === undefined ? [] : [first];
  });
  const most = Math.floor(MAX_CANDIDATES / Math.max(1, protocols.length));
  return protocols.flatMap((template) =>
    addresses.slice(0, most).map((address, index) => ({
      ...template,
      ip: address,
      address,
      priority: template.priority - index * PRIORITY_STEP,
    })),
  );
}
