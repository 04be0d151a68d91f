import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import type { MediaKind } from '@plenary/cluster/protocol';
import { readRtpSsrc } from '../bots/rtp-packet.ts';

/** mediasoup probes bandwidth with packets of this stream, which carry no media. */
const PROBATION_SSRC = 1_234;

const KIND_OF_PAYLOAD_TYPE = new Map(
  ROUTER_RTP_CAPABILITIES.codecs
    .filter(({ mimeType }) => !mimeType.endsWith('/rtx'))
    .map(({ preferredPayloadType, kind }) => [preferredPayloadType, kind]),
);

/**
 * Observes at the delay proxy when the first media packet goes out to the client; SRTP's header is in the clear.
 * The page cannot know this time, because its statistics are only updated now and then.
 */
export class PacketWatch {
  #first: Partial<Record<MediaKind, number>> = {};

  /** Restarts the observation: the next packets are the first ones. */
  reset(): void {
    this.#first = {};
  }

  /** When the first packet of each kind was sent, in milliseconds since 1970, as pages of this machine count. */
  get first(): Readonly<Partial<Record<MediaKind, number>>> {
    return this.#first;
  }

  readonly observe = (direction: 'up' | 'down', packet: Buffer): void => {
    const lead = packet[0] ?? 0;
    // RFC 7983: a packet that is neither STUN nor DTLS nor TURN is RTP.
    if (direction === 'up' || lead < 128 || lead > 191) return;
    const ssrc = readRtpSsrc(packet);
    const kind = KIND_OF_PAYLOAD_TYPE.get((packet[1] ?? 0) & 0x7f);
    if (ssrc === undefined || ssrc === PROBATION_SSRC || kind === undefined) return;
    this.#first[kind] ??= performance.timeOrigin + performance.now();
  };
}
