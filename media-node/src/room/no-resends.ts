import { forgetOldest } from '@plenary/cluster';
import type { Clock, PlacedPeer, RtpCapabilities } from '@plenary/cluster';

/** Maximum number of remembered peers and persons. */
const MAX_REMEMBERED = 20_000;
/**
 * How long they are remembered, in milliseconds: the cause may have been a bad network, where each lost packet then
 * freezes the picture.
 */
const REMEMBERED_FOR_MS = 3_600_000;

/** The peer, and if known the person, that requests retransmissions. */
export interface Requester extends Pick<PlacedPeer, 'roomId' | 'peerId'> {
  /** A digest of the person. Absent when the edge sends none, as for guests, who are a new person with each token. */
  readonly person: string | undefined;
}

/**
 * Peers and persons that get no retransmissions for an hour, however often they open a media session or join again
 * (SPEC MS38, MS39, MS40).
 */
export class NoResends {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** When each was last added; the latest is at the end. */
  readonly #addedAtMs = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  add(requester: Requester): void {
    const nowMs = this.#clock.monotonicMs();
    for (const key of keysOf(requester)) {
      // Setting an existing key would keep its place, so the peer found most often would be forgotten first.
      this.#addedAtMs.delete(key);
      this.#addedAtMs.set(key, nowMs);
    }
    forgetOldest(this.#addedAtMs, MAX_REMEMBERED);
  }

  has(requester: Requester): boolean {
    const sinceMs = this.#clock.monotonicMs() - REMEMBERED_FOR_MS;
    return keysOf(requester).some((key) => (this.#addedAtMs.get(key) ?? -Infinity) > sinceMs);
  }
}

function keysOf({ roomId, peerId, person }: Requester): string[] {
  const peerKey = `${roomId} ${peerId}`;
  return person === undefined ? [peerKey] : [peerKey, person];
}

/** Capabilities without NACK: a worker keeps no packets for a client that requests none again. */
export function withoutResends(capabilities: RtpCapabilities): RtpCapabilities {
  return {
    ...capabilities,
    codecs: capabilities.codecs.map(({ rtcpFeedback = [], ...codec }) => ({
      ...codec,
      rtcpFeedback: rtcpFeedback.filter(({ type, parameter = '' }) => type !== 'nack' || parameter !== ''),
    })),
  };
}
