import { forgetOldest } from '@plenary/cluster';
import type { PlacedPeer, RtpCapabilities } from '@plenary/cluster';

/** Peers that are remembered at most. */
const MAX_REMEMBERED = 10_000;

/** Peers to whom nothing is sent again, however often they open media anew (SPEC MS10). */
export class NoResends {
  readonly #keys = new Set<string>();

  add(peer: PlacedPeer): void {
    this.#keys.add(keyOf(peer));
    forgetOldest(this.#keys, MAX_REMEMBERED);
  }

  has(peer: PlacedPeer): boolean {
    return this.#keys.has(keyOf(peer));
  }
}

const keyOf = ({ roomId, peerId }: PlacedPeer): string => `${roomId} ${peerId}`;

/** The same client as one that asks for nothing again: a worker then keeps no packets for it. */
export function withoutResends(capabilities: RtpCapabilities): RtpCapabilities {
  return {
    ...capabilities,
    codecs: capabilities.codecs.map(({ rtcpFeedback = [], ...codec }) => ({
      ...codec,
      rtcpFeedback: rtcpFeedback.filter(({ type, parameter = '' }) => type !== 'nack' || parameter !== ''),
    })),
  };
}
