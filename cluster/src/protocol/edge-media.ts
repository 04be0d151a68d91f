/**
 * The control protocol, between edges and media nodes and between media nodes. A media node serves it. Edges and
 * other media nodes open the link, and both ends prove their identity before anything else (SPEC CL1, `control/`).
 * Every request about a peer carries the epoch it was issued under, and the node refuses one older than it has seen
 * (EP2).
 */
import { z } from 'zod';
import { CONSUMER_OFFER, CONSUMER_UPDATES, MEDIA_REQUEST, TRACK_PUBLICATION } from './client-edge.ts';
import { NOTHING, WIRE_ERROR } from './define.ts';
import type {
  NoticeInputOf,
  NoticeName,
  NoticeOf,
  ReplyOf,
  RequestInputOf,
  RequestName,
  RequestOf,
} from './define.ts';
import {
  CONSUMER_ID,
  DATACENTER_ID,
  EPOCH,
  INCARNATION,
  MEDIA_NODE_ID,
  PEER_ID,
  ROOM_ID,
  ROUTER_ID,
  TRACK_ID,
  TRANSPORT_ID,
} from './ids.ts';
import type { Epoch } from './ids.ts';
import {
  DTLS_PARAMETERS,
  ICE_PARAMETERS,
  MEDIA_KIND,
  MEDIA_TRAFFIC,
  PUBLISHING_LIMIT,
  TRACK_SOURCE,
  TRANSPORT_OFFER,
  WANTED_LAYER,
} from './media.ts';
import { LOGGED_NODE_EVENT } from './room.ts';
import { RTP_PARAMETERS } from './rtp.ts';
import { HOST_TEXT, KEY_BASE64, patternText, plainId } from './text.ts';

/** Grows when processes of different versions can no longer work together. */
export const CONTROL_VERSION = 3;
/** The largest packet on a control link, in bytes. */
export const MAX_CONTROL_PACKET_BYTES = 4_194_304;
/** How long either side waits for an answer on a control link, in milliseconds. */
export const CONTROL_TIMEOUT_MS = 5_000;
/** How often a media node beats on each control link, in milliseconds. */
export const CONTROL_BEAT_MS = 500;

export { EPOCH };
export type { Epoch };

/** The placement that a request is about. */
export const PLACED_PEER = z.object({ roomId: ROOM_ID, peerId: PEER_ID, epoch: EPOCH });
export type PlacedPeer = z.infer<typeof PLACED_PEER>;

/** A track and the media node that hosts its producer. */
export const TRACK_HOME = z.object({
  trackId: TRACK_ID,
  peerId: PEER_ID,
  kind: MEDIA_KIND,
  source: TRACK_SOURCE,
  homeNodeId: MEDIA_NODE_ID,
});
export type TrackHome = z.infer<typeof TRACK_HOME>;

/**
 * The number of mediasoup calls that an edge requests an admission for, and that a media node charges the peer for
 * (SPEC BU4, BU43): two transports, their DTLS, and consumers of the existing tracks, which are a few dozen at most.
 */
export const CALLS_PER_ADMISSION = 40;

/** The number of mediasoup calls that a request caused; a request that changes nothing causes none. */
const CALLS_TAKEN = z.int().min(0).optional();

const FAILED_TRACK = z.object({ trackId: TRACK_ID, error: WIRE_ERROR });

export const SRTP_PARAMETERS = z.object({
  cryptoSuite: z.enum([
    'AEAD_AES_256_GCM',
    'AEAD_AES_128_GCM',
    'AES_CM_128_HMAC_SHA1_80',
    'AES_CM_128_HMAC_SHA1_32',
  ]),
  keyBase64: KEY_BASE64,
});

/** One end of a PipeTransport: its address and, if the pipe crosses hosts, its encryption. */
export const PIPE_END = z.object({
  address: HOST_TEXT,
  port: z.int().min(1).max(65_535),
  srtpParameters: SRTP_PARAMETERS.optional(),
});
export type PipeEnd = z.infer<typeof PIPE_END>;

/** Identifies the pipe between two routers from the side that requests it: its own router, and the remote one. */
const PIPE_KEY = z.object({ roomId: ROOM_ID, fromRouterId: ROUTER_ID, toRouterId: ROUTER_ID });

/** Identifies a track in a pipe. */
export const TRACK_ORIGIN = TRACK_HOME.pick({ trackId: true, homeNodeId: true });
export type TrackOrigin = z.infer<typeof TRACK_ORIGIN>;

export const PEER_LOST_REASON = z.enum(['worker_died', 'node_lost', 'transport_failed']);

/** The number of hexadecimal digits that are kept of a SHA-256, from the left. */
export const DIGEST_LENGTH = 16;
/** The form in which a media node receives the identity of a network or a person. */
export const DIGEST = patternText(
  new RegExp(`^[\\da-f]{${DIGEST_LENGTH}}$`),
  DIGEST_LENGTH,
  `must be a digest of ${DIGEST_LENGTH} hexadecimal digits`,
);

export const CONTROL_REQUESTS = {
  'peer.admit': {
    summary:
      'Hosts a peer under an epoch: its transports and first consumers. A repeat of the same epoch gives the same transports.',
    payload: PLACED_PEER.extend({
      media: MEDIA_REQUEST,
      tracks: z.array(TRACK_HOME).max(64),
      /** A digest of the client's network: distinguishes people who find no path to the node (SPEC HL28). */
      network: DIGEST.optional(),
      /** A digest of the person, so that a node recognises somebody who requested too much; absent for guests (SPEC MS10). */
      person: DIGEST.optional(),
    }),
    reply: z.object({
      sendTransport: TRANSPORT_OFFER.optional(),
      receiveTransport: TRANSPORT_OFFER,
      consumers: z.array(CONSUMER_OFFER),
      failed: z.array(FAILED_TRACK),
    }),
  },
  'peer.attach': {
    summary:
      'Makes this control link the one that receives notices about a peer: after a resume on another edge.',
    payload: PLACED_PEER.extend({
      /** Whether the reply should include the traffic, which costs two calls into mediasoup. */
      countMedia: z.boolean().optional(),
    }),
    reply: z.object({ alive: z.boolean(), ...MEDIA_TRAFFIC.partial().shape }),
  },
  'peer.ask': {
    summary: 'Whether the node hosts a peer under this epoch. Changes nothing.',
    payload: PLACED_PEER,
    reply: z.object({ alive: z.boolean() }),
  },
  'peer.drop': {
    summary: 'Closes everything of a peer up to this epoch. An unknown peer is no error.',
    payload: PLACED_PEER,
    reply: NOTHING,
  },
  'transport.connect': {
    summary: 'Gives a transport the DTLS parameters of the client.',
    payload: PLACED_PEER.extend({ transportId: TRANSPORT_ID, dtlsParameters: DTLS_PARAMETERS }),
    reply: z.object({ calls: CALLS_TAKEN }),
  },
  'transport.restartIce': {
    summary: 'Gives a transport new ICE credentials.',
    payload: PLACED_PEER.extend({ transportId: TRANSPORT_ID }),
    reply: z.object({ iceParameters: ICE_PARAMETERS }),
  },
  'track.publish': {
    summary:
      'Creates a producer and publishes its track record. A repeat with the same requestId gives the same track.',
    payload: PLACED_PEER.extend(TRACK_PUBLICATION.shape),
    reply: z.object({ trackId: TRACK_ID, events: z.array(LOGGED_NODE_EVENT), calls: CALLS_TAKEN }),
  },
  'track.pause': {
    summary: 'Pauses or resumes a producer and its record.',
    payload: PLACED_PEER.extend({ trackId: TRACK_ID, paused: z.boolean() }),
    reply: z.object({ events: z.array(LOGGED_NODE_EVENT) }),
  },
  'track.end': {
    summary: 'Closes a producer and removes its record.',
    payload: PLACED_PEER.extend({ trackId: TRACK_ID }),
    reply: z.object({ events: z.array(LOGGED_NODE_EVENT), calls: CALLS_TAKEN }),
  },
  subscribe: {
    summary: 'Consumes tracks, pulling those of other nodes through a pipe.',
    payload: PLACED_PEER.extend({ tracks: z.array(TRACK_HOME).min(1).max(64) }),
    reply: z.object({
      consumers: z.array(CONSUMER_OFFER),
      failed: z.array(FAILED_TRACK),
      calls: CALLS_TAKEN,
    }),
  },
  unsubscribe: {
    summary: 'Closes consumers.',
    payload: PLACED_PEER.extend({ consumerIds: z.array(CONSUMER_ID).min(1).max(64) }),
    reply: z.object({ calls: CALLS_TAKEN }),
  },
  'consumers.update': {
    summary: 'Pauses, resumes, or sets layers and priority of consumers.',
    payload: PLACED_PEER.extend(CONSUMER_UPDATES.shape),
    reply: z.object({ calls: CALLS_TAKEN }),
  },
  'pipe.locate': {
    summary: 'Asks a track’s home node which router hosts its producer.',
    payload: z.object({ roomId: ROOM_ID, trackId: TRACK_ID }),
    reply: z.object({ routerId: ROUTER_ID }),
  },
  'pipe.relay': {
    summary:
      'Asks a gateway which of its routers receives the tracks of a remote node; null when it is not, or no longer, the gateway to that node.',
    payload: z.object({ roomId: ROOM_ID, homeNodeId: MEDIA_NODE_ID }),
    reply: z.object({ routerId: ROUTER_ID.nullable() }),
  },
  'pipe.open': {
    summary:
      'Opens the home side of a pipe between two routers and connects it to the asking side. Idempotent per pair of routers: a repeat replaces the old pipe of the pair.',
    payload: PIPE_KEY.extend({
      end: PIPE_END,
      /** The address of the home that the requesting side can reach; without it the home chooses. */
      toAddress: HOST_TEXT.optional(),
      /** The machine of the requesting side, as in `hello`: without it unencrypted pipes are refused. */
      machineId: plainId(64).optional(),
    }),
    reply: z.object({ end: PIPE_END }),
  },
  'pipe.consume': {
    summary:
      'Sends a track into an open pipe; a gateway first pulls it from its home. A repeat gives the same consumer.',
    payload: PIPE_KEY.extend(TRACK_ORIGIN.shape),
    reply: z.object({
      kind: MEDIA_KIND,
      rtpParameters: RTP_PARAMETERS,
      paused: z.boolean(),
    }),
  },
  'pipe.demand': {
    summary: 'States the demand for a track behind a pipe: with null the track is paused in the pipe.',
    payload: PIPE_KEY.extend({ trackId: TRACK_ID, wanted: WANTED_LAYER }),
    reply: NOTHING,
  },
  'pipe.release': {
    summary: 'Removes a track from a pipe.',
    payload: PIPE_KEY.extend({ trackId: TRACK_ID }),
    reply: NOTHING,
  },
  'pipe.traffic': {
    summary:
      'Asks how many bytes of RTP were sent into a pipe so far: if the number grows and nothing arrives, the pipe leads nowhere.',
    payload: PIPE_KEY,
    reply: z.object({ sentBytes: z.number().min(0) }),
  },
  'pipe.close': {
    summary: 'Closes a pipe. An unknown pipe is no error.',
    payload: PIPE_KEY,
    reply: NOTHING,
  },
} as const;

/** Notices of a media node on a control link. */
export const CONTROL_NOTICES = {
  hello: {
    summary: 'The first message on a link: the identity of the node.',
    payload: z.object({
      controlVersion: z.int(),
      mediaNodeId: MEDIA_NODE_ID,
      incarnation: INCARNATION,
      datacenter: DATACENTER_ID,
      /** The node's time, in milliseconds since the epoch; only for comparing clocks. */
      wallMs: z.number().min(0).max(1e15).optional(),
      /** A hash of the machine and network namespace: nodes with the same one need not encrypt their pipes. */
      machineId: plainId(64).optional(),
      /** The addresses for other media nodes, if they differ from the announced ones: at most one of each family. */
      pipeAddresses: z.array(HOST_TEXT).max(2).optional(),
    }),
  },
  beat: {
    summary: 'The node is alive; sent every CONTROL_BEAT_MS.',
    payload: z.object({ incarnation: INCARNATION }),
  },
  'room.events': {
    summary:
      'Changes of a room that the node made without a request and wrote to the log: the edge passes them to the room.',
    payload: z.object({ roomId: ROOM_ID, events: z.array(LOGGED_NODE_EVENT).min(1) }),
  },
  speakers: {
    summary: 'The node’s own peers of a room who speak; an empty list ends an earlier one.',
    payload: z.object({
      roomId: ROOM_ID,
      speakers: z.array(z.object({ peerId: PEER_ID, volumeDbov: z.int().min(-127).max(0) })).max(16),
    }),
  },
  'consumer.closed': {
    summary:
      'A consumer closed because its track ended or its pipe broke; where `isPathLost` is true, a pipe from a node that only relayed the track.',
    payload: PLACED_PEER.extend({
      consumerId: CONSUMER_ID,
      trackId: TRACK_ID,
      isPathLost: z.boolean().optional(),
    }),
  },
  'consumer.superseded': {
    summary:
      'The track of a consumer takes another path from now on: the client should subscribe again and close the old consumer.',
    payload: PLACED_PEER.extend({ consumerId: CONSUMER_ID, trackId: TRACK_ID }),
  },
  'publishing.limited': {
    summary: 'A peer sends more than it may, and what the node did about it.',
    payload: PLACED_PEER.extend(PUBLISHING_LIMIT.shape),
  },
  'track.demand': {
    summary: 'The demand of all viewers for a peer’s own track, wherever they are.',
    payload: PLACED_PEER.extend({ trackId: TRACK_ID, wanted: WANTED_LAYER }),
  },
  'peer.lost': {
    summary: 'The node no longer hosts this peer, although nobody requested it.',
    payload: PLACED_PEER.extend({ reason: PEER_LOST_REASON }),
  },
  'peer.unreached': {
    summary:
      'The client found no path to this node within the time limit. The node keeps hosting it; the edge moves it if there is another node.',
    payload: PLACED_PEER,
  },
  'peer.move': {
    summary:
      'The node drains: the client should open a media session on another node, and stays here until then. Repeated until it has left.',
    payload: PLACED_PEER,
  },
  'pipe.producer': {
    summary:
      'To a node behind a pipe: the track at its home was paused or resumed by its publisher, or ended.',
    payload: PIPE_KEY.extend({ trackId: TRACK_ID, state: z.enum(['paused', 'resumed', 'ended']) }),
  },
  'pipe.closed': {
    summary: 'To a node behind a pipe: the home side of the pipe is closed.',
    payload: PIPE_KEY,
  },
  'pipe.moved': {
    summary:
      'To a node behind a gateway: tracks of a remote home should take another path; meanwhile they continue here.',
    payload: PIPE_KEY.extend({ homeNodeId: MEDIA_NODE_ID }),
  },
} as const;

export type ControlRequests = typeof CONTROL_REQUESTS;
export type ControlRequestName = RequestName<ControlRequests>;
export type ControlRequest<Name extends ControlRequestName> = RequestOf<ControlRequests, Name>;
export type ControlRequestInput<Name extends ControlRequestName> = RequestInputOf<ControlRequests, Name>;
export type ControlReply<Name extends ControlRequestName> = ReplyOf<ControlRequests, Name>;
export type ControlNotices = typeof CONTROL_NOTICES;
export type ControlNoticeName = NoticeName<ControlNotices>;
export type ControlNotice<Name extends ControlNoticeName> = NoticeOf<ControlNotices, Name>;
export type ControlNoticeInput<Name extends ControlNoticeName> = NoticeInputOf<ControlNotices, Name>;

/** The identity that the caller of a control link proves. */
export const CONTROL_CALLER = z.object({
  kind: z.enum(['edge', 'media-node']),
  id: plainId(64),
  incarnation: INCARNATION,
});
export type ControlCaller = z.infer<typeof CONTROL_CALLER>;
