import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { Device, types } from 'mediasoup-client';
import { toClientParameters } from './to-mediasoup.ts';

/** How often a track may break the transport in use before the client stops trying it. */
const MAX_LOSSES = 2;
/** A transport without candidates, which never sends a packet. */
const NOWHERE: types.TransportOptions = {
  id: 'trial',
  iceParameters: { usernameFragment: 'trial', password: 'trialtrialtrialtrialtrial', iceLite: true },
  iceCandidates: [],
  dtlsParameters: {
    role: 'auto',
    fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => '00').join(':') }],
  },
};

/**
 * Tests whether the browser accepts a consumer before a transport in use is risked. An SDP section that the browser rejects stays in the
 * transport's SDP, and the transport can receive no further consumer (SPEC MS4). A consumer of an accepted form skips the trial, so
 * that only a publisher with unusual parameters costs one.
 */
export class ConsumerTrial {
  readonly #device: Device;
  /** Forms of consumers that the browser accepted. */
  readonly #acceptedForms = new Set<string>();
  /** Forms that were part of a failed negotiation. */
  readonly #suspectForms = new Set<string>();
  readonly #losses = new Map<TrackId, number>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** @param isInUse - whether the transport already receives something */
  async passes(offer: ConsumerOffer, isInUse: boolean): Promise<boolean> {
    if ((this.#losses.get(offer.trackId) ?? 0) >= MAX_LOSSES) return false;
    const form = formOf(offer);
    if (this.#acceptedForms.has(form) || !(isInUse || this.#suspectForms.has(form))) return true;
    return this.#isTaken(offer);
  }

  accepted(offer: ConsumerOffer): void {
    this.#acceptedForms.add(formOf(offer));
  }

  /** Notes that a negotiation with this consumer broke a transport. */
  failed(offer: ConsumerOffer): void {
    this.#suspectForms.add(formOf(offer));
    this.#losses.set(offer.trackId, (this.#losses.get(offer.trackId) ?? 0) + 1);
  }

  async #isTaken(offer: ConsumerOffer): Promise<boolean> {
    const transport = this.#device.createRecvTransport(structuredClone(NOWHERE));
    transport.on('connect', (_parameters, connected) => {
      connected();
    });
    try {
      const { consumerId, trackId, kind, rtpParameters } = offer;
      if (rtpParameters === null) return false;
      await transport.consume({
        id: consumerId,
        producerId: trackId,
        kind,
        rtpParameters: toClientParameters(rtpParameters),
      });
      return true;
    } catch {
      // The browser's error text is not needed: the track is reported as one that it cannot receive.
      return false;
    } finally {
      transport.close();
    }
  }
}

/** The form of a consumer: everything but its names. A browser accepts or rejects all consumers of one form alike. */
function formOf({ kind, rtpParameters }: ConsumerOffer): string {
  const { codecs, headerExtensions, encodings = [], rtcp } = rtpParameters ?? { codecs: [] };
  // The number of layers is in no session description.
  const streams = encodings.map(({ rtx }) => rtx !== undefined);
  // Only the shape of a name counts: letters and digits are equivalent.
  const cname = rtcp?.cname?.replace(/[A-Za-z0-9_-]+/g, 'a');
  return JSON.stringify([kind, codecs, headerExtensions, streams, cname]);
}
