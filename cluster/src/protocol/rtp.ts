/**
 * Schemas of RTP parameters and capabilities in mediasoup's shapes (mediasoup.org, "RTP Parameters and
 * Capabilities"). The parameters of a publisher end up in the SDP of every viewer, so each string has the narrowest
 * pattern that its RFC allows. Codecs, their settings and header extensions are exactly those of the cluster's
 * routers (SPEC MS2).
 */
import { z } from 'zod';
import { MEDIA_KIND } from './media.ts';
import { patternText } from './text.ts';

/** Mediasoup does not accept 0 as an SSRC. */
export const SSRC = z.int().min(1).max(0xffff_ffff);
const PAYLOAD_TYPE = z.int().min(0).max(127);
/** The dynamic payload types that do not collide with RTCP on the same port (RFC 5761, 4). */
const DYNAMIC_PAYLOAD_TYPE = z
  .int()
  .min(35)
  .max(127)
  .refine((type) => type < 64 || type > 95, 'must be 35 to 63 or 96 to 127');
const FLAG = z.int().min(0).max(1);

/** `token` of RFC 8866, 9. */
const TOKEN = "[!#$%&'*+\\-.^_`{|}~A-Za-z0-9]";
/** RFC 5888, 4. */
export const MID = patternText(new RegExp(`^${TOKEN}{1,32}$`), 32, 'must be a token');
/** RFC 8852, 3: letters and digits only. */
export const RID = patternText(/^[A-Za-z0-9]{1,16}$/, 16, 'must be letters and digits');
/**
 * A CNAME as in RFC 7022 or from older senders: base64, a UUID, or user@host. A browser that sends simulcast gives an
 * empty one, because its SDP names none. Media nodes replace it by their own.
 */
const CNAME = patternText(/^[A-Za-z0-9+/=@._:{}-]{0,255}$/, 255, 'must be a canonical name');
/** RFC 8830, 2. */
const MSID = patternText(new RegExp(`^${TOKEN}{1,64}( ${TOKEN}{1,64})?$`), 129, 'must be one or two tokens');
/** RFC 4585, 4.2. */
const FEEDBACK_TYPE = patternText(/^[A-Za-z0-9_-]{1,32}$/, 32, 'must be a name of feedback');
const FEEDBACK_PARAMETER = patternText(/^[A-Za-z0-9_ -]{0,32}$/, 32, 'must be a name of feedback');
const RTCP_FEEDBACK = z
  .array(z.object({ type: FEEDBACK_TYPE, parameter: FEEDBACK_PARAMETER.optional() }))
  .max(16);

/** Routers have this extension, and clients are not offered it: it is used in pipes only. */
export const PIPES_ONLY_EXTENSION = 'urn:ietf:params:rtp-hdrext:toffset';

/** Header extensions that identify the track or the encoding of each packet (RFC 8843, 15; RFC 8852). */
export const MID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:mid';
export const RID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';
export const REPAIRED_RID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id';

/** The header extensions that routers of the cluster know; a test compares them with the routers' capabilities. */
export const RTP_HEADER_EXTENSION_URI = z.enum([
  MID_EXTENSION,
  RID_EXTENSION,
  REPAIRED_RID_EXTENSION,
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  'urn:3gpp:video-orientation',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time',
  'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
  'urn:mediasoup:params:rtp-hdrext:packet-id',
  PIPES_ONLY_EXTENSION,
]);

/** RFC 8285: 15 is reserved in the one-byte form, 0 is padding. */
const EXTENSION_ID = z
  .int()
  .min(1)
  .max(255)
  .refine((id) => id !== 15, '15 is reserved');

const CAPABILITY_MIME_TYPE = patternText(
  /^(audio|video)\/[A-Za-z0-9.+-]{1,58}$/,
  64,
  'must be a media type such as video/VP8',
);
const CAPABILITY_SETTING = patternText(/^[\x21-\x7e]{0,128}$/, 128, 'must be printable');
const CAPABILITY_SETTINGS = z
  .record(
    patternText(/^[A-Za-z0-9_.-]{1,64}$/, 64, 'must be a name'),
    z.union([CAPABILITY_SETTING, z.number(), z.boolean()]),
  )
  .refine((settings) => Object.keys(settings).length <= 32, 'at most 32 settings');

/**
 * The capabilities of a client. It may know more codecs than the cluster; those are ignored, so that a newer client
 * works with an older edge.
 */
export const RTP_CAPABILITIES = z.object({
  codecs: z
    .array(
      z.object({
        kind: MEDIA_KIND,
        mimeType: CAPABILITY_MIME_TYPE,
        preferredPayloadType: PAYLOAD_TYPE,
        clockRate: z.int().min(1).max(384_000),
        channels: z.int().min(1).max(8).optional(),
        parameters: CAPABILITY_SETTINGS.optional(),
        rtcpFeedback: RTCP_FEEDBACK.optional(),
      }),
    )
    .max(64),
  headerExtensions: z
    .array(
      z.object({
        kind: MEDIA_KIND,
        uri: RTP_HEADER_EXTENSION_URI,
        preferredId: EXTENSION_ID,
        preferredEncrypt: z.boolean().optional(),
        direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']).optional(),
      }),
    )
    .max(64)
    .optional(),
});
export type RtpCapabilities = z.infer<typeof RTP_CAPABILITIES>;

/** RFC 7587, 6.1, and `minptime`, which Chromium sends. */
const OPUS_SETTINGS = z.object({
  minptime: z.int().min(3).max(120).optional(),
  ptime: z.int().min(3).max(120).optional(),
  maxptime: z.int().min(3).max(120).optional(),
  maxplaybackrate: z.int().min(8_000).max(48_000).optional(),
  'sprop-maxcapturerate': z.int().min(8_000).max(48_000).optional(),
  maxaveragebitrate: z.int().min(6_000).max(510_000).optional(),
  stereo: FLAG.optional(),
  'sprop-stereo': FLAG.optional(),
  cbr: FLAG.optional(),
  useinbandfec: FLAG.optional(),
  usedtx: FLAG.optional(),
});
/** The settings that a decoder and the worker use. */
export const OPUS_FLAGS = OPUS_SETTINGS.pick({
  useinbandfec: true,
  usedtx: true,
  stereo: true,
  'sprop-stereo': true,
});
/** RFC 7741, 6.1; VP9 has the same settings (RFC 9628, 6). */
const FRAME_LIMITS = {
  'max-fr': z.int().min(1).max(240).optional(),
  'max-fs': z.int().min(1).max(1_000_000).optional(),
};
const VP8_SETTINGS = z.object(FRAME_LIMITS);
const VP9_SETTINGS = z.object({ ...FRAME_LIMITS, 'profile-id': z.int().min(0).max(3).optional() });
/** RFC 6184, 8.1. */
const H264_SETTINGS = z.object({
  'packetization-mode': FLAG.optional(),
  'level-asymmetry-allowed': FLAG.optional(),
  'profile-level-id': patternText(/^[0-9A-Fa-f]{6}$/, 6, 'must be three bytes in hex').optional(),
});
/** RFC 4588, 8.1. */
const RTX_SETTINGS = z.object({
  apt: DYNAMIC_PAYLOAD_TYPE,
  'rtx-time': z.int().min(1).max(60_000).optional(),
});

const COMMON = { payloadType: DYNAMIC_PAYLOAD_TYPE, rtcpFeedback: RTCP_FEEDBACK.optional() };
const VIDEO = { ...COMMON, clockRate: z.literal(90_000), channels: z.literal(1).optional() };
/** The settings of a codec by its media type; unknown settings are dropped. */
const CODEC_PARAMETERS = z.discriminatedUnion('mimeType', [
  z.object({
    mimeType: z.literal('audio/opus'),
    ...COMMON,
    clockRate: z.literal(48_000),
    /** RFC 7587, 7: the number of channels is always 2, even for mono. */
    channels: z.literal(2),
    parameters: OPUS_SETTINGS.optional(),
  }),
  z.object({ mimeType: z.literal('video/VP8'), ...VIDEO, parameters: VP8_SETTINGS.optional() }),
  z.object({ mimeType: z.literal('video/VP9'), ...VIDEO, parameters: VP9_SETTINGS.optional() }),
  z.object({ mimeType: z.literal('video/H264'), ...VIDEO, parameters: H264_SETTINGS.optional() }),
  z.object({ mimeType: z.literal('video/rtx'), ...VIDEO, parameters: RTX_SETTINGS }),
]);
export type RtpCodecParameters = z.infer<typeof CODEC_PARAMETERS>;

/** Layers of one stream, as mediasoup understands them (W3C WebRTC-SVC without the modes of separate streams). */
const SCALABILITY_MODE = patternText(/^L[1-3]T[1-3](_KEY)?$/, 8, 'must be L1T1 to L3T3, or with _KEY');

/** The largest number of encodings of one track: its simulcast layers. */
export const MAX_ENCODINGS = 3;

export const RTP_PARAMETERS = z.object({
  mid: MID.optional(),
  codecs: z.array(CODEC_PARAMETERS).min(1).max(8),
  headerExtensions: z
    .array(
      z.object({
        uri: RTP_HEADER_EXTENSION_URI,
        id: EXTENSION_ID,
        encrypt: z.boolean().optional(),
      }),
    )
    .max(16)
    .optional(),
  encodings: z
    .array(
      z.object({
        ssrc: SSRC.optional(),
        rid: RID.optional(),
        codecPayloadType: DYNAMIC_PAYLOAD_TYPE.optional(),
        rtx: z.object({ ssrc: SSRC }).optional(),
        dtx: z.boolean().optional(),
        scalabilityMode: SCALABILITY_MODE.optional(),
        maxBitrate: z.int().min(1).max(100_000_000).optional(),
      }),
    )
    .max(MAX_ENCODINGS)
    .optional(),
  rtcp: z.object({ cname: CNAME.optional(), reducedSize: z.boolean().optional() }).optional(),
  msid: MSID.optional(),
});
export type RtpParameters = z.infer<typeof RTP_PARAMETERS>;
