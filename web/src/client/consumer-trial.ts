import type { ConsumerOffer, TrackId } from '@plenary/cluster/protocol';
import type { Device, types } from 'mediasoup-client';
import { toClientParameters } from './to-mediasoup.ts';

/** So often a track may cost the transports in use; then it is not tried again. */
const MAX_LOSSES = 2;
/** A transport without candidates: nothing is ever sent by it. */
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
 * Finds out whether the browser takes a consumer before a transport is risked that others come by: a section that it does not
 * take stays in the transport's SDP, and nothing can be received anew by that transport from then on (SPEC MS4). What looks like
 * one that was taken before is not tried, so that a meeting costs a trial only where somebody sends otherwise than all before.
 */
export class ConsumerTrial {
  readonly #device: Device;
  /** Forms of consumers that the browser took. */
  readonly #taken = new Set<string>();
  /** Forms that were part of a negotiation that failed. */
  readonly #suspects = new Set<string>();
  readonly #losses = new Map<TrackId, number>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** @param isInUse - whether anything is received by the transport already */
  async passes(offer: ConsumerOffer, isInUse: boolean): Promise<boolean> {
    if ((this.#losses.get(offer.trackId) ?? 0) >= MAX_LOSSES) return false;
    const form = formOf(offer);
    if (this.#taken.has(form) || !(isInUse || this.#suspects.has(form))) return true;
    return this.#isTaken(offer);
  }

  took(offer: ConsumerOffer): void {
    this.#taken.add(formOf(offer));
  }

  /** A transport was lost by a negotiation that the consumer was part of. */
  lost(offer: ConsumerOffer): void {
    this.#suspects.add(formOf(offer));
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
      // What exactly the browser says is of no use: the track is told to be one that it does not take.
      return false;
    } finally {
      transport.close();
    }
  }
}

/** What two consumers have in common that a browser takes or refuses alike: all but their names. */
function formOf({ kind, rtpParameters }: ConsumerOffer): string {
  const { codecs, headerExtensions, encodings = [], rtcp } = rtpParameters ?? { codecs: [] };
  // How many layers come is in no session description.
  const streams = encodings.map(({ rtx }) => rtx !== undefined);
  // Of a name only its shape: letters and digits are alike everywhere.
  const cname = rtcp?.cname?.replace(/[A-Za-z0-9_-]+/g, 'a');
  return JSON.stringify([kind, codecs, headerExtensions, streams, cname]);
}
