/**
 * Checks that the parts of a publication fit each other, its source and the cluster's codecs (SPEC MS3). A bad
 * publication would be offered to everybody in the room, and a browser that rejects one section of an SDP accepts
 * none after it. The edge checks first, so that a bad publication costs no media node anything. The media node checks
 * again, because it trusts no edge. A client checks what it is offered.
 */
import { KIND_OF_SOURCE } from './media.ts';
import type { MediaKind, TrackSource } from './media.ts';
import { ROUTER_RTP_CAPABILITIES } from './router-capabilities.generated.ts';
import { H264_PARAMETERS } from './media-codecs.ts';
import {
  MID_EXTENSION,
  OPUS_FLAGS,
  PIPES_ONLY_EXTENSION,
  REPAIRED_RID_EXTENSION,
  RID_EXTENSION,
} from './rtp.ts';
import type { RtpCapabilities, RtpCodecParameters, RtpParameters } from './rtp.ts';

type RtpEncodingParameters = NonNullable<RtpParameters['encodings']>[number];

/** The highest bitrate that one stream of a track may announce, in bits per second. */
export const MAX_ANNOUNCED_BITRATE = { audio: 510_000, video: 12_000_000 } as const;

/** The largest number of spatial layers within one stream, by codec. VP8 and H264 have only temporal layers. */
const SPATIAL_LAYERS: Readonly<Record<string, number>> = { 'video/VP9': 3 };
const FEEDBACK: ReadonlySet<string> = new Set(
  ROUTER_RTP_CAPABILITIES.codecs.flatMap(({ rtcpFeedback = [] }) => rtcpFeedback.map(feedbackName)),
);

export interface JudgedPublication {
  readonly kind: MediaKind;
  readonly source: TrackSource;
  readonly rtpParameters: RtpParameters;
}

/** The fault of a publication, as a sentence for developers; `undefined` if there is none. */
export function faultOfPublication({ kind, source, rtpParameters }: JudgedPublication): string | undefined {
  if (KIND_OF_SOURCE[source] !== kind) return `A ${source} is not ${kind}.`;
  return (
    faultOfCodecs(kind, rtpParameters) ??
    faultOfExtensions(kind, rtpParameters) ??
    faultOfEncodings(kind, rtpParameters) ??
    faultOfStreams(rtpParameters)
  );
}

/**
 * As {@link faultOfPublication}, for parameters that a media node offers to a client or sends into a pipe. Mediasoup
 * wrote them, so one encoding may stand for the layers of several.
 */
export function faultOfForwarded(kind: MediaKind, rtpParameters: RtpParameters): string | undefined {
  return (
    faultOfCodecs(kind, rtpParameters) ??
    faultOfExtensions(kind, rtpParameters) ??
    faultOfStreams(rtpParameters)
  );
}

/**
 * As {@link faultOfForwarded}, for an offer to a client. An offer of a router has the router's payload types and
 * extension ids; a section with other numbers would clash with the whole session.
 */
export function faultOfOffer(kind: MediaKind, rtpParameters: RtpParameters): string | undefined {
  const fault = faultOfForwarded(kind, rtpParameters);
  if (fault !== undefined) return fault;
  const { codecs, headerExtensions: extensions = [] } = ROUTER_RTP_CAPABILITIES;
  for (const { mimeType, payloadType } of rtpParameters.codecs) {
    const isOwn = codecs.some((own) => own.mimeType === mimeType && own.preferredPayloadType === payloadType);
    if (!isOwn) return `${mimeType} has another payload type than in the cluster.`;
  }
  for (const { uri, id } of rtpParameters.headerExtensions ?? []) {
    if (!extensions.some((own) => own.uri === uri && own.preferredId === id)) {
      return `${uri} has another id than in the cluster.`;
    }
  }
  return undefined;
}

/** Removes the extensions of another kind: mediasoup lists a video extension for audio too when it sends into a pipe. */
export function withExtensionsOf(kind: MediaKind, rtpParameters: RtpParameters): RtpParameters {
  const { headerExtensions = [] } = rtpParameters;
  return {
    ...rtpParameters,
    headerExtensions: headerExtensions.filter(({ uri }) => isExtensionOf(kind, uri)),
  };
}

/**
 * The part of a checked publication that a media node forwards. Of the names that the sender chose only the `mid` and
 * `rid`s remain, because they distinguish its packets; of the feedback only what routers give remains.
 * @param cname - the media node's own name of the sender
 */
export function passedOn(rtpParameters: RtpParameters, cname: string): RtpParameters {
  const { mid, codecs, headerExtensions = [], encodings } = rtpParameters;
  return {
    ...(mid === undefined ? {} : { mid }),
    codecs: codecs.map((codec) => ({
      ...withNeededSettings(codec),
      rtcpFeedback: (codec.rtcpFeedback ?? []).filter((feedback) => FEEDBACK.has(feedbackName(feedback))),
    })),
    headerExtensions: headerExtensions.map(({ uri, id }) => ({ uri, id })),
    ...(encodings === undefined ? {} : { encodings: encodings.map(identifiedBySsrc) }),
    rtcp: { cname, reducedSize: true },
  };
}

/**
 * Identifies an encoding with an SSRC by its SSRC alone. A worker that also knows a rid assigns a packet with this
 * rid and another SSRC to the same stream. The first packet with the SSRC then counts as one more stream of the same
 * encoding, and an assertion ends the worker.
 */
function identifiedBySsrc(encoding: RtpEncodingParameters): RtpEncodingParameters {
  if (encoding.ssrc === undefined) return encoding;
  const { rid: _, ...toldBySsrc } = encoding;
  return toldBySsrc;
}

/**
 * Keeps only the codec settings that a decoder or the worker uses. So viewers get few different forms of offers, and
 * each form that is new to a browser costs it a trial (SPEC MS21).
 */
function withNeededSettings(codec: RtpCodecParameters): RtpCodecParameters {
  switch (codec.mimeType) {
    case 'audio/opus':
      return { ...codec, parameters: OPUS_FLAGS.parse(codec.parameters ?? {}) };
    case 'video/VP8':
    case 'video/VP9':
      return { ...codec, parameters: {} };
    case 'video/H264':
      // A decoder of this profile decodes every level of it and ignores the name that was checked above.
      return { ...codec, parameters: { ...H264_PARAMETERS } };
    case 'video/rtx':
      return { ...codec, parameters: { apt: codec.parameters.apt } };
  }
}

/** The part of a client's capabilities that the cluster uses: codecs that its routers know. */
export function clusterCapabilities({ codecs, headerExtensions }: RtpCapabilities): RtpCapabilities {
  const known = new Set(ROUTER_RTP_CAPABILITIES.codecs.map(({ mimeType }) => mimeType.toLowerCase()));
  return {
    codecs: codecs.filter(({ mimeType }) => known.has(mimeType.toLowerCase())),
    ...(headerExtensions === undefined ? {} : { headerExtensions }),
  };
}

const isRtx = ({ mimeType }: RtpCodecParameters): boolean => mimeType === 'video/rtx';

function faultOfCodecs(kind: MediaKind, { codecs }: RtpParameters): string | undefined {
  const [media, ...otherMedia] = codecs.filter((codec) => !isRtx(codec));
  const [rtx, ...otherRtx] = codecs.filter(isRtx);
  if (media === undefined) return 'There is no codec but retransmission.';
  if (otherMedia.length > 0 || otherRtx.length > 0) return 'A track has one codec, and retransmission of it.';
  if (!media.mimeType.startsWith(`${kind}/`)) return `${media.mimeType} is not ${kind}.`;
  if (!ROUTER_RTP_CAPABILITIES.codecs.some((known) => known.mimeType === media.mimeType)) {
    return `The cluster has no ${media.mimeType}.`;
  }
  const settingsFault = faultOfSettings(media);
  if (settingsFault !== undefined || rtx === undefined) return settingsFault;
  if (kind === 'audio') return 'Audio has no retransmission.';
  if (rtx.payloadType === media.payloadType) return 'Two codecs have one payload type.';
  if (rtx.mimeType === 'video/rtx' && rtx.parameters.apt !== media.payloadType) {
    return 'The retransmission is of another codec.';
  }
  return undefined;
}

/** Finds codec settings that differ from the routers', such as another profile: such a stream cannot be piped or decoded. */
function faultOfSettings(codec: RtpCodecParameters): string | undefined {
  if (codec.mimeType === 'video/VP9' && (codec.parameters?.['profile-id'] ?? 0) !== 0) {
    return 'VP9 is taken in profile 0.';
  }
  if (codec.mimeType !== 'video/H264') return undefined;
  if ((codec.parameters?.['packetization-mode'] ?? 0) !== 1) return 'H264 is taken in packetization mode 1.';
  return isConstrainedBaseline(codec.parameters?.['profile-level-id'] ?? '')
    ? undefined
    : 'H264 is taken in the constrained baseline profile.';
}

/** RFC 6184, 8.1, table 5: the ways to name the profile. */
function isConstrainedBaseline(profileLevelId: string): boolean {
  const [profile = 0, constraints = 0, level = 0] = (profileLevelId.match(/../g) ?? []).map((byte) =>
    Number.parseInt(byte, 16),
  );
  const isLevel = level >= 9 && level <= 62;
  if (profile === 0x42) return isLevel && (constraints & 0x4f) === 0x40;
  if (profile === 0x4d) return isLevel && (constraints & 0x8f) === 0x80;
  return profile === 0x58 && isLevel && (constraints & 0xcf) === 0xc0;
}

function faultOfExtensions(kind: MediaKind, { headerExtensions = [] }: RtpParameters): string | undefined {
  const ids = headerExtensions.map(({ id }) => id);
  const uris = headerExtensions.map(({ uri }) => uri);
  if (hasTwice(ids)) return 'Two header extensions have one id.';
  if (hasTwice(uris)) return 'A header extension is there twice.';
  for (const { uri, encrypt } of headerExtensions) {
    if (!isExtensionOf(kind, uri)) return `${uri} is no extension of ${kind}.`;
    if (encrypt === true) return 'Header extensions are not encrypted.';
  }
  return undefined;
}

function isExtensionOf(kind: MediaKind, uri: string): boolean {
  const { headerExtensions = [] } = ROUTER_RTP_CAPABILITIES;
  if (uri === PIPES_ONLY_EXTENSION) return kind === 'video';
  return headerExtensions.some((known) => known.kind === kind && known.uri === uri);
}

/**
 * Checks that a worker can assign each packet to its stream. The worker uses the SSRC, and `rid` or `mid` only if a
 * header extension carries them. It silently drops packets that it cannot assign, and everybody would be offered a
 * track that never plays.
 */
function faultOfStreams({ mid, encodings = [], headerExtensions = [] }: RtpParameters): string | undefined {
  const withSsrc = encodings.filter(({ ssrc }) => ssrc !== undefined).length;
  if (encodings.length > 0 && withSsrc === encodings.length) return undefined;
  if (withSsrc > 0) return 'Encodings are told apart by SSRC or by rid, all in one way.';
  if (encodings.some(({ rtx }) => rtx !== undefined))
    return 'A retransmission has an SSRC, and its stream has none.';
  const rids = encodings.filter(({ rid }) => rid !== undefined).length;
  if (encodings.length > 1 && rids < encodings.length)
    return 'Several encodings are told apart by rid or by SSRC.';
  if (rids === 0 && mid === undefined) {
    return 'Nothing tells the packets of the track: give an SSRC, a rid or a mid.';
  }
  const has = (extension: string): boolean => headerExtensions.some(({ uri }) => uri === extension);
  if (rids > 0 && !has(RID_EXTENSION))
    return 'There are rids without the header extension that carries them.';
  // Another track may have the same rid, and the worker would assign its packets to this one.
  if (mid !== undefined && !has(MID_EXTENSION))
    return 'There is a mid without the header extension that carries it.';
  return undefined;
}

function faultOfEncodings(
  kind: MediaKind,
  { codecs, encodings = [], headerExtensions = [] }: RtpParameters,
): string | undefined {
  const media = codecs.find((codec) => !isRtx(codec));
  const hasRtx = codecs.some(isRtx);
  if (kind === 'audio' && encodings.length > 1) return 'Audio has one encoding.';
  const ssrcs = encodings.flatMap(({ ssrc, rtx }) => [ssrc, rtx?.ssrc].filter((one) => one !== undefined));
  if (hasTwice(ssrcs)) return 'Two streams have one SSRC.';
  if (hasTwice(encodings.flatMap(({ rid }) => rid ?? []))) return 'Two encodings have one rid.';
  if (!hasRtx && headerExtensions.some(({ uri }) => uri === REPAIRED_RID_EXTENSION)) {
    return 'There are rids of retransmissions without a codec for them.';
  }
  for (const { rid, rtx, codecPayloadType, scalabilityMode, maxBitrate = 0 } of encodings) {
    if (kind === 'audio' && (rid !== undefined || scalabilityMode !== undefined))
      return 'Audio has no layers.';
    if (rtx !== undefined && !hasRtx) return 'An encoding has a retransmission without a codec for it.';
    if (codecPayloadType !== undefined && codecPayloadType !== media?.payloadType) {
      return 'An encoding has another payload type than the codec.';
    }
    if (maxBitrate > MAX_ANNOUNCED_BITRATE[kind]) return `${maxBitrate} bit/s is too much for ${kind}.`;
    const spatialLayers = Number(scalabilityMode?.[1] ?? 1);
    const most = encodings.length > 1 ? 1 : (SPATIAL_LAYERS[media?.mimeType ?? ''] ?? 1);
    if (spatialLayers > most) return `${media?.mimeType} has no ${String(scalabilityMode)} here.`;
  }
  return undefined;
}

function feedbackName({
  type,
  parameter = '',
}: {
  readonly type: string;
  readonly parameter?: string | undefined;
}): string {
  return `${type} ${parameter}`;
}

const hasTwice = (values: readonly unknown[]): boolean => new Set(values).size < values.length;
