/**
 * Schemas of RTP, ICE and DTLS parameters, in mediasoup's shapes (mediasoup.org, "RTP Parameters and Capabilities"),
 * each with bounds, so that no client can make a process hold more than these.
 */
import { z } from 'zod';

export const MEDIA_KIND = z.enum(['audio', 'video']);
export type MediaKind = z.infer<typeof MEDIA_KIND>;

/** What a track shows: decides its place on the screen and its encoding. */
export const TRACK_SOURCE = z.enum(['microphone', 'camera', 'screen', 'screen-audio']);
export type TrackSource = z.infer<typeof TRACK_SOURCE>;

/** The kind of each source; a `produce` whose kind differs is malformed. */
export const KIND_OF_SOURCE = {
  microphone: 'audio',
  camera: 'video',
  screen: 'video',
  'screen-audio': 'audio',
} as const satisfies Record<TrackSource, MediaKind>;

const SSRC = z.int().min(0).max(0xffff_ffff);
const PAYLOAD_TYPE = z.int().min(0).max(127);
const CODEC_SETTINGS = z
  .record(z.string().max(64), z.union([z.string().max(512), z.number(), z.boolean()]))
  .refine((settings) => Object.keys(settings).length <= 32, 'at most 32 settings');
const RTCP_FEEDBACK = z
  .array(z.object({ type: z.string().max(32), parameter: z.string().max(32).optional() }))
  .max(16);
const MIME_TYPE = z
  .string()
  .max(64)
  .regex(/^(audio|video)\/[A-Za-z0-9.+-]+$/, 'must be a media type such as video/VP8');

export const RTP_HEADER_EXTENSION_URI = z.enum([
  'urn:ietf:params:rtp-hdrext:sdes:mid',
  'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  'urn:3gpp:video-orientation',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time',
  'urn:ietf:params:rtp-hdrext:toffset',
  'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
  'urn:mediasoup:params:rtp-hdrext:packet-id',
]);

export const RTP_CAPABILITIES = z.object({
  codecs: z
    .array(
      z.object({
        kind: MEDIA_KIND,
        mimeType: MIME_TYPE,
        preferredPayloadType: PAYLOAD_TYPE,
        clockRate: z.int().min(1).max(384_000),
        channels: z.int().min(1).max(8).optional(),
        parameters: CODEC_SETTINGS.optional(),
        rtcpFeedback: RTCP_FEEDBACK.optional(),
      }),
    )
    .max(64),
  headerExtensions: z
    .array(
      z.object({
        kind: MEDIA_KIND,
        uri: RTP_HEADER_EXTENSION_URI,
        preferredId: z.int().min(1).max(255),
        preferredEncrypt: z.boolean().optional(),
        direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']).optional(),
      }),
    )
    .max(64)
    .optional(),
});
export type RtpCapabilities = z.infer<typeof RTP_CAPABILITIES>;

export const RTP_PARAMETERS = z.object({
  mid: z.string().max(32).optional(),
  codecs: z
    .array(
      z.object({
        mimeType: MIME_TYPE,
        payloadType: PAYLOAD_TYPE,
        clockRate: z.int().min(1).max(384_000),
        channels: z.int().min(1).max(8).optional(),
        parameters: CODEC_SETTINGS.optional(),
        rtcpFeedback: RTCP_FEEDBACK.optional(),
      }),
    )
    .min(1)
    .max(16),
  headerExtensions: z
    .array(
      z.object({
        uri: RTP_HEADER_EXTENSION_URI,
        id: z.int().min(1).max(255),
        encrypt: z.boolean().optional(),
        parameters: CODEC_SETTINGS.optional(),
      }),
    )
    .max(32)
    .optional(),
  encodings: z
    .array(
      z.object({
        ssrc: SSRC.optional(),
        rid: z.string().max(16).optional(),
        codecPayloadType: PAYLOAD_TYPE.optional(),
        rtx: z.object({ ssrc: SSRC }).optional(),
        dtx: z.boolean().optional(),
        scalabilityMode: z.string().max(16).optional(),
        maxBitrate: z.int().min(1).max(100_000_000).optional(),
      }),
    )
    .max(8)
    .optional(),
  rtcp: z.object({ cname: z.string().max(255).optional(), reducedSize: z.boolean().optional() }).optional(),
  msid: z.string().max(255).optional(),
});
export type RtpParameters = z.infer<typeof RTP_PARAMETERS>;

export const DTLS_FINGERPRINT = z.object({
  algorithm: z.enum(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512']),
  value: z
    .string()
    .max(191)
    .regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+$/, 'must be hex bytes joined by ":"'),
});

export const DTLS_PARAMETERS = z.object({
  role: z.enum(['auto', 'client', 'server']).optional(),
  fingerprints: z.array(DTLS_FINGERPRINT).min(1).max(8),
});
export type DtlsParameters = z.infer<typeof DTLS_PARAMETERS>;

export const ICE_PARAMETERS = z.object({
  usernameFragment: z.string().min(4).max(256),
  password: z.string().min(22).max(256),
  iceLite: z.boolean().optional(),
});
export type IceParameters = z.infer<typeof ICE_PARAMETERS>;

export const ICE_CANDIDATE = z.object({
  foundation: z.string().max(64),
  priority: z.int().min(0).max(0xffff_ffff),
  ip: z.string().max(255),
  address: z.string().max(255),
  protocol: z.enum(['udp', 'tcp']),
  port: z.int().min(1).max(65_535),
  type: z.literal('host'),
  tcpType: z.literal('passive').optional(),
});

/** What went between a media node and a client so far, in bytes of RTP, as the node counts it. */
export const MEDIA_TRAFFIC = z.object({
  /** To the client. */
  sentBytes: z.int().min(0),
  /** From the client. */
  receivedBytes: z.int().min(0),
});
export type MediaTraffic = z.infer<typeof MEDIA_TRAFFIC>;

/** What a client needs to open its side of a WebRTC transport. */
export const TRANSPORT_OFFER = z.object({
  id: z.string().min(1).max(64),
  iceParameters: ICE_PARAMETERS,
  iceCandidates: z.array(ICE_CANDIDATE).min(1).max(16),
  dtlsParameters: DTLS_PARAMETERS,
});
export type TransportOffer = z.infer<typeof TRANSPORT_OFFER>;

/** Simulcast or SVC layers, counted from 0 for the smallest. */
export const PREFERRED_LAYERS = z.object({
  spatialLayer: z.int().min(0).max(7),
  temporalLayer: z.int().min(0).max(7).optional(),
});
export type PreferredLayers = z.infer<typeof PREFERRED_LAYERS>;

/** Above every layer that a sender has: everything. */
export const TOP_SPATIAL_LAYER = 7;
/** The highest spatial layer that anybody wants of a track; `null` while nobody watches it. */
export const WANTED_LAYER = z.int().min(0).max(TOP_SPATIAL_LAYER).nullable();
export type WantedLayer = z.infer<typeof WANTED_LAYER>;
