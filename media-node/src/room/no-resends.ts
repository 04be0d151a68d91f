import { forgetOldest } from '@plenary/cluster';
import type { PlacedPeer, RtpCapabilities } from '@plenary/cluster';

/** So many are remembered: peers, and persons. */
const MAX_REMEMBERED = 20_000;

/** Who asks for packets again. */
export interface Asker extends Pick<PlacedPeer, 'roomId' | 'peerId'> {
  /** A digest; absent where the edge does not say, as of guests, who are somebody new with each token. */
  readonly person: string | undefined;
}

/** Peers and persons to whom nothing is sent again, however often they open media or join anew (SPEC MS10). */
export class NoResends {
  readonly #keys = new Set<string>();

  add(asker: Asker): void {
    for (const key of keysOf(asker)) this.#keys.add(key);
    forgetOldest(this.#keys, MAX_REMEMBERED);
  }

  has(asker: Asker): boolean {
    return keysOf(asker).some((key) => this.#keys.has(key));
  }
}

function keysOf({ roomId, peerId, person }: Asker): string[] {
  const ofPeer = `${roomId} ${peerId}`;
  return person === undefined ? [ofPeer] : [ofPeer, person];
}

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
