import { forgetOldest } from '@plenary/cluster';
import type { Clock, PlacedPeer, RtpCapabilities } from '@plenary/cluster';

/** So many are remembered: peers, and persons. */
const MAX_REMEMBERED = 20_000;
/** And for so long: it may have been a bad network, in which each lost packet then stops the picture. */
const REMEMBERED_FOR_MS = 3_600_000;

/** Who asks for packets again. */
export interface Asker extends Pick<PlacedPeer, 'roomId' | 'peerId'> {
  /** A digest; absent where the edge does not say, as of guests, who are somebody new with each token. */
  readonly person: string | undefined;
}

/** Peers and persons to whom nothing is sent again for an hour, however often they open media or join anew (SPEC MS38, MS39, MS40). */
export class NoResends {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** When each was added last; the one that was added last is at the end. */
  readonly #addedAtMs = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  add(asker: Asker): void {
    const nowMs = this.#clock.monotonicMs();
    for (const key of keysOf(asker)) {
      // A key that is set again would keep its place: whoever is found most often would be forgotten first.
      this.#addedAtMs.delete(key);
      this.#addedAtMs.set(key, nowMs);
    }
    forgetOldest(this.#addedAtMs, MAX_REMEMBERED);
  }

  has(asker: Asker): boolean {
    const sinceMs = this.#clock.monotonicMs() - REMEMBERED_FOR_MS;
    return keysOf(asker).some((key) => (this.#addedAtMs.get(key) ?? -Infinity) > sinceMs);
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
