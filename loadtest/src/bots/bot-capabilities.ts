/**
 * The RTP capabilities of a bot, and the parameters of what it sends, as mediasoup-client would have computed them from the
 * cluster's constant and a device that supports Opus, VP8 and the header extensions below.
 */
import { ROUTER_RTP_CAPABILITIES, RTP_PARAMETERS } from '@plenary/cluster/protocol';
import type { MediaKind, RtpCapabilities, RtpParameters } from '@plenary/cluster/protocol';

const MIME_TYPES: readonly string[] = ['audio/opus', 'video/vp8'];

/** Extensions that Chromium receives. The bot reads none of them, but they make the worker do the same work as for a browser. */
const RECEIVED_EXTENSIONS: readonly string[] = [
  'urn:ietf:params:rtp-hdrext:sdes:mid',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'urn:3gpp:video-orientation',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time',
  'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
];
const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';

/** Opus, VP8 and VP8's retransmission, with the router's payload types and the extensions for receivers. */
export function receivingCapabilities(router: RtpCapabilities = ROUTER_RTP_CAPABILITIES): RtpCapabilities {
  const media = router.codecs.filter(({ mimeType }) => MIME_TYPES.includes(mimeType.toLowerCase()));
  const payloadTypes = new Set<unknown>(media.map(({ preferredPayloadType }) => preferredPayloadType));
  const retransmission = router.codecs.filter(
    ({ mimeType, parameters }) =>
      mimeType.toLowerCase().endsWith('/rtx') && payloadTypes.has(parameters?.['apt']),
  );
  return {
    codecs: [...media, ...retransmission],
    headerExtensions: (router.headerExtensions ?? []).filter(
      ({ uri, direction }) => RECEIVED_EXTENSIONS.includes(uri) && direction !== 'recvonly',
    ),
  };
}

export interface SendingDescription {
  readonly rtpParameters: RtpParameters;
  readonly payloadType: number;
  readonly clockRate: number;
  readonly extensionIds: { readonly mid?: number; readonly audioLevel?: number };
}

/**
 * Describes one stream that a bot sends.
 * @throws Error if the router knows no codec of this kind that bots support
 */
export function describeSending(
  kind: MediaKind,
  stream: { readonly ssrc: number; readonly mid: string; readonly cname: string },
  router: RtpCapabilities = ROUTER_RTP_CAPABILITIES,
): SendingDescription {
  const codec = router.codecs.find(
    ({ mimeType }) => mimeType.startsWith(`${kind}/`) && MIME_TYPES.includes(mimeType.toLowerCase()),
  );
  if (codec === undefined) throw new Error(`the router knows no ${kind} codec that a bot speaks`);
  const idOf = (uri: string): number | undefined =>
    router.headerExtensions?.find((extension) => extension.kind === kind && extension.uri === uri)
      ?.preferredId;
  const mid = idOf(MID);
  const audioLevel = kind === 'audio' ? idOf(AUDIO_LEVEL) : undefined;
  return {
    payloadType: codec.preferredPayloadType,
    clockRate: codec.clockRate,
    extensionIds: {
      ...(mid === undefined ? {} : { mid }),
      ...(audioLevel === undefined ? {} : { audioLevel }),
    },
    rtpParameters: RTP_PARAMETERS.parse({
      mid: stream.mid,
      codecs: [
        {
          mimeType: codec.mimeType,
          payloadType: codec.preferredPayloadType,
          clockRate: codec.clockRate,
          ...(codec.channels === undefined ? {} : { channels: codec.channels }),
          parameters: {},
          // The bot only understands requests for key frames: it neither retransmits nor estimates bandwidth.
          rtcpFeedback: (codec.rtcpFeedback ?? []).filter(
            ({ type, parameter }) => (type === 'nack' && parameter === 'pli') || type === 'ccm',
          ),
        },
      ],
      headerExtensions: [
        ...(mid === undefined ? [] : [{ uri: MID, id: mid }]),
        ...(audioLevel === undefined ? [] : [{ uri: AUDIO_LEVEL, id: audioLevel }]),
      ],
      encodings: [{ ssrc: stream.ssrc }],
      rtcp: { cname: stream.cname, reducedSize: true },
    }),
  };
}
