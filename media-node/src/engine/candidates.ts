import type { types } from 'mediasoup';

/** Maximum number of candidates in an offer; the schema of the protocol accepts no more. */
const MAX_CANDIDATES = 16;
/**
 * The step by which mediasoup lowers the priority of each next candidate; UDP stays ahead of TCP by ten times as
 * much.
 */
const PRIORITY_STEP = 100 * 256;

/**
 * Returns a candidate for each address and protocol. mediasoup creates one per socket, but one socket may be reached
 * at several addresses, and several sockets at one.
 * @param made - the candidates of mediasoup; all of one worker have the same port
 * @param addresses - the addresses that clients use, the preferred one first
 */
export function offeredCandidates(
  made: readonly types.IceCandidate[],
  addresses: readonly string[],
): types.IceCandidate[] {
  const protocols = (['udp', 'tcp'] as const).flatMap((protocol) => {
    const [first] = made.filter((candidate) => candidate.protocol === protocol);
    return first === undefined ? [] : [first];
  });
  const maxPerProtocol = Math.floor(MAX_CANDIDATES / Math.max(1, protocols.length));
  return protocols.flatMap((template) =>
    addresses.slice(0, maxPerProtocol).map((address, index) => ({
      ...template,
      ip: address,
      address,
      priority: template.priority - index * PRIORITY_STEP,
    })),
  );
}
