/**
 * Schemas of tracks, and of ICE and DTLS parameters in mediasoup's shapes. All are bounded, so that no client can
 * make a process keep more.
 */
import { z } from 'zod';
import { HOST_TEXT, patternText, plainId } from './text.ts';

export const MEDIA_KIND = z.enum(['audio', 'video']);
export type MediaKind = z.infer<typeof MEDIA_KIND>;

/** The source of a track: it decides the track's place on the screen and its encoding. */
export const TRACK_SOURCE = z.enum(['microphone', 'camera', 'screen', 'screen-audio']);
export type TrackSource = z.infer<typeof TRACK_SOURCE>;

/** The kind of each source; a `track.publish` with another kind is malformed. */
export const KIND_OF_SOURCE = {
  microphone: 'audio',
  camera: 'video',
  screen: 'video',
  'screen-audio': 'audio',
} as const satisfies Record<TrackSource, MediaKind>;

/** RFC 8122, 5: the bytes of the hash, in hex. */
const fingerprint = <Algorithm extends string>(algorithm: Algorithm, bytes: number) =>
  z.object({
    algorithm: z.literal(algorithm),
    value: patternText(
      new RegExp(`^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){${bytes - 1}}$`),
      bytes * 3 - 1,
      `must be ${bytes} bytes in hex, joined by ":"`,
    ),
  });
export const DTLS_FINGERPRINT = z.discriminatedUnion('algorithm', [
  fingerprint('sha-1', 20),
  fingerprint('sha-224', 28),
  fingerprint('sha-256', 32),
  fingerprint('sha-384', 48),
  fingerprint('sha-512', 64),
]);

export const DTLS_PARAMETERS = z.object({
  role: z.enum(['auto', 'client', 'server']).optional(),
  fingerprints: z.array(DTLS_FINGERPRINT).min(1).max(8),
});
export type DtlsParameters = z.infer<typeof DTLS_PARAMETERS>;

/** RFC 8839, 5.4: 4 to 256 and 22 to 256 of `ice-char`. */
export const ICE_PARAMETERS = z.object({
  usernameFragment: patternText(/^[A-Za-z0-9+/]{4,256}$/, 256, 'must be 4 to 256 characters of ICE'),
  password: patternText(/^[A-Za-z0-9+/]{22,256}$/, 256, 'must be 22 to 256 characters of ICE'),
  iceLite: z.boolean().optional(),
});
export type IceParameters = z.infer<typeof ICE_PARAMETERS>;

/** RFC 8839, 5.1. */
export const ICE_CANDIDATE = z.object({
  foundation: patternText(/^[A-Za-z0-9+/]{1,32}$/, 32, 'must be 1 to 32 characters of ICE'),
  priority: z.int().min(0).max(0xffff_ffff),
  ip: HOST_TEXT,
  address: HOST_TEXT,
  protocol: z.enum(['udp', 'tcp']),
  port: z.int().min(1).max(65_535),
  type: z.literal('host'),
  tcpType: z.literal('passive').optional(),
});

/** The RTP traffic between a media node and a client so far, in bytes, as the node counts it. */
export const MEDIA_TRAFFIC = z.object({
  /** To the client. */
  sentBytes: z.int().min(0),
  /** From the client. */
  receivedBytes: z.int().min(0),
});
export type MediaTraffic = z.infer<typeof MEDIA_TRAFFIC>;

/** Everything that a client needs to open its side of a WebRTC transport. */
export const TRANSPORT_OFFER = z.object({
  id: plainId(64),
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

/** A value above every layer that a sender has: all layers are wanted. */
export const TOP_SPATIAL_LAYER = 7;
/** The highest spatial layer of a track that any viewer wants; `null` while nobody watches it. */
export const WANTED_LAYER = z.int().min(0).max(TOP_SPATIAL_LAYER).nullable();
export type WantedLayer = z.infer<typeof WANTED_LAYER>;

/** The measure taken against a publisher that keeps sending more than it may. */
export const PUBLISHING_LIMIT = z.object({
  /** `warned` at first; then its tracks are `paused`, then `ended`. */
  step: z.enum(['warned', 'paused', 'ended']),
  /** The bitrate that the publisher sent last, in bits per second. */
  bitrate: z.int().min(0),
  /** The limit for all its tracks together, in bits per second. */
  limit: z.int().min(0),
});
export type PublishingLimit = z.infer<typeof PUBLISHING_LIMIT>;
