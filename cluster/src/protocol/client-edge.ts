/**
 * The protocol between a client and an edge: Socket.IO over WebSocket. `docs/protocol.md` is its reference, and a
 * test compares the two. A client sends requests, and the edge acknowledges each with a reply envelope. The edge
 * sends notices, which have no answer.
 */
import { z } from 'zod';
import { FEATURE_REQUESTS } from '../features/index.ts';
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
  EDGE_ID,
  EPOCH,
  EVENT_ID,
  MEDIA_NODE_ID,
  PEER_ID,
  REQUEST_ID,
  ROOM_NAME,
  TRACK_ID,
  TRANSPORT_ID,
} from './ids.ts';
import { openTo } from './later.ts';
import {
  DTLS_PARAMETERS,
  ICE_PARAMETERS,
  MEDIA_KIND,
  MEDIA_TRAFFIC,
  PREFERRED_LAYERS,
  PUBLISHING_LIMIT,
  TRACK_SOURCE,
  TRANSPORT_OFFER,
  WANTED_LAYER,
} from './media.ts';
import {
  CHAT_MESSAGE,
  CHAT_TEXT,
  DISPLAY_NAME,
  HEARD_EVENT,
  ROLE,
  ROOM_SNAPSHOT,
  ROSTER_PAGE_SIZE,
  ROSTER_PEER,
} from './room.ts';
import { RTP_CAPABILITIES, RTP_PARAMETERS } from './rtp.ts';
import { RESUME_PROOF, SESSION_KEY } from './session-key.ts';
import { CURSOR_TEXT, HTTP_URL, TOKEN_TEXT } from './text.ts';

/** The largest Socket.IO packet that an edge reads, in bytes; a larger one closes the connection. */
export const MAX_PACKET_BYTES = 65_536;
/** The largest message, in UTF-16 units of its JSON; an edge answers a larger one with `message_too_large`. */
export const MAX_MESSAGE_LENGTH = 32_768;
/** How long a client waits for an acknowledgement before it treats the request as `timed_out`, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 10_000;
/**
 * The largest number of consumers that the edge opens automatically in a join; the client subscribes to more when it
 * wants them.
 */
export const MAX_INITIAL_CONSUMERS = 32;
/** The largest number of tracks in one `subscribe`. */
export const MAX_SUBSCRIBE_BATCH = 64;
/** The largest number of open consumers of one media session. */
export const MAX_CONSUMERS = 1_000;

/**
 * The client's request for a media session. With `dtls`, the edge's transports are connected at once and no
 * `transport.connect` is needed; a client that cannot create its certificate beforehand omits it.
 */
export const MEDIA_REQUEST = z.object({
  rtpCapabilities: RTP_CAPABILITIES,
  /** Whether to open a sending transport; a viewer needs none. */
  publish: z.boolean(),
  dtls: z.object({ send: DTLS_PARAMETERS.optional(), receive: DTLS_PARAMETERS.optional() }).optional(),
});
export type MediaRequest = z.infer<typeof MEDIA_REQUEST>;

/**
 * A consumer on the client's receiving transport. A consumer in the answer to `join` or `media.open` already carries
 * packets. A video consumer from `subscribe` starts paused, and the client resumes it with `consumers.update` once
 * its receiver is ready, so that the key frame is not lost.
 */
export const CONSUMER_OFFER = z.object({
  consumerId: CONSUMER_ID,
  trackId: TRACK_ID,
  peerId: PEER_ID,
  kind: MEDIA_KIND,
  source: TRACK_SOURCE,
  /** Unreadable parameters become null: so the client loses this consumer and not the whole message. */
  rtpParameters: RTP_PARAMETERS.nullable().catch(null),
  paused: z.boolean(),
  producerPaused: z.boolean(),
});
export type ConsumerOffer = z.infer<typeof CONSUMER_OFFER>;

/** A media session: its media node, its transports, and the consumers that exist already. */
export const MEDIA_OFFER = z.object({
  mediaNodeId: MEDIA_NODE_ID,
  datacenter: DATACENTER_ID,
  /** Identifies this media session in requests; a client that moves has two for a while. */
  epoch: EPOCH,
  sendTransport: TRANSPORT_OFFER.optional(),
  receiveTransport: TRANSPORT_OFFER,
  consumers: z.array(CONSUMER_OFFER).max(MAX_INITIAL_CONSUMERS),
});
export type MediaOffer = z.infer<typeof MEDIA_OFFER>;

/** Identifies one of the client's media sessions; absent for the newest. */
const OF_MEDIA = { epoch: EPOCH.optional() };

/** The largest number of round trips in a join. */
export const MAX_ROUND_TRIPS = 16;
/** The round-trip time between a client and a datacenter, as the client measured it. */
export const ROUND_TRIP = z.object({
  datacenter: DATACENTER_ID,
  roundTripMs: z.number().min(0).max(60_000),
});
export type RoundTrip = z.infer<typeof ROUND_TRIP>;
export const ROUND_TRIPS = z.array(ROUND_TRIP).max(MAX_ROUND_TRIPS);

/** An edge that a client may use if its own is unreachable. */
export const EDGE_HINT = z.object({ edgeId: EDGE_ID, datacenter: DATACENTER_ID, url: HTTP_URL });
export type EdgeHint = z.infer<typeof EDGE_HINT>;

const SESSION = z.object({
  peerId: PEER_ID,
  roomId: ROOM_NAME,
  displayName: DISPLAY_NAME,
  role: ROLE,
  /**
   * Proves this session to any edge in `resume`, together with the session’s key; replaced by each resume and by
   * `session.renewed`.
   */
  sessionToken: TOKEN_TEXT,
  /**
   * In the answer to `join`: the token for joining again after this session has ended, together with the session’s
   * key. Absent if the time for joining again is over.
   */
  rejoinToken: TOKEN_TEXT.optional(),
  /** How long an edge keeps a session whose connection broke, in milliseconds. */
  resumeWithinMs: z.int().min(0),
  edgeId: EDGE_ID,
  edges: z.array(EDGE_HINT).max(64),
  /** Whether anybody with the room's bare link may join as a guest; absent if the edge does not say. */
  openToGuests: z.boolean().optional(),
});

/** Changes of one consumer; absent fields stay unchanged. */
export const CONSUMER_UPDATE = z.object({
  consumerId: CONSUMER_ID,
  paused: z.boolean().optional(),
  preferredLayers: PREFERRED_LAYERS.optional(),
  /** From 1 to 255; consumers with a higher priority get bandwidth first. */
  priority: z.int().min(1).max(255).optional(),
});

/** Changes of several consumers in one request. */
export const CONSUMER_UPDATES = z.object({
  consumers: z.array(CONSUMER_UPDATE).min(1).max(MAX_SUBSCRIBE_BATCH),
});

/** The publisher's description of a new track. */
export const TRACK_PUBLICATION = z.object({
  requestId: REQUEST_ID,
  transportId: TRANSPORT_ID,
  kind: MEDIA_KIND,
  source: TRACK_SOURCE,
  rtpParameters: RTP_PARAMETERS,
  paused: z.boolean(),
  /** A track of the same client and source in another media session: it continues until this one plays, then ends. */
  replaces: TRACK_ID.optional(),
});

/** Requests of the client; the edge acknowledges each. */
export const CLIENT_REQUESTS = {
  join: {
    summary:
      'Enters a room and opens a media session, in one round trip. A repeat with the same requestId gives the same peer.',
    payload: z.object({
      protocolVersion: z.int(),
      requestId: REQUEST_ID,
      roomId: ROOM_NAME,
      /** A join token, or, together with `proof`, a rejoin token. */
      token: TOKEN_TEXT,
      /** Given with a rejoin token: the session key’s signature over {@link rejoinProofText}. */
      proof: RESUME_PROOF.optional(),
      displayName: DISPLAY_NAME.optional(),
      /**
       * The public half of a key that the client creates for this session. Without the private half nobody can resume
       * the session.
       */
      sessionKey: SESSION_KEY,
      /** If the token does not say where the person is, the edge chooses a media node in the nearest of these datacenters. */
      roundTrips: ROUND_TRIPS.optional(),
      media: MEDIA_REQUEST,
    }),
    reply: z.object({ session: SESSION, room: ROOM_SNAPSHOT, media: MEDIA_OFFER }),
  },
  resume: {
    summary: 'Resumes the session on this connection, on any edge. The media session is not affected.',
    payload: z.object({
      protocolVersion: z.int(),
      roomId: ROOM_NAME,
      sessionToken: TOKEN_TEXT,
      /** The session key’s signature over {@link resumeProofText}. */
      proof: RESUME_PROOF,
      lastEventId: EVENT_ID,
      /** The epoch of the client's media session; absent for the newest. */
      epoch: EPOCH.optional(),
    }),
    reply: z.object({
      session: SESSION,
      /** Either the events after `lastEventId`, or a snapshot if the log no longer contains all of them. */
      catchUp: z.discriminatedUnion('type', [
        z.object({ type: z.literal('events'), events: z.array(HEARD_EVENT) }),
        z.object({ type: z.literal('snapshot'), room: ROOM_SNAPSHOT }),
      ]),
      /** `false` if the media node lost the peer meanwhile: send `media.open`. */
      mediaAlive: z.boolean(),
    }),
  },
  'session.confirm': {
    summary: 'Confirms that a newer session token arrived: the older ones can no longer resume.',
    payload: z.object({ sessionToken: TOKEN_TEXT }),
    reply: NOTHING,
  },
  leave: { summary: 'Leaves the room and releases everything at once.', payload: NOTHING, reply: NOTHING },
  'edge.check': {
    summary:
      'Requests a sign of life from an edge that owes an answer. The reply needs neither store nor media node.',
    payload: NOTHING,
    reply: NOTHING,
  },
  'media.open': {
    summary:
      'Opens a new media session, on a newly chosen media node: after `media.lost`, when a resume found the media session lost, or, with `moveFrom`, beside the session that continues.',
    payload: MEDIA_REQUEST.extend({
      /**
       * After `media.move`: the epoch of the media session that continues until `media.moved`. A repeat gives the
       * same new session.
       */
      moveFrom: EPOCH.optional(),
      /** With `moveFrom`: the epoch of an offer that could not be used and must be replaced. */
      insteadOf: EPOCH.optional(),
      /** Without `moveFrom`: no path led to the previous media node, so the edge should prefer another one. */
      isUnreachable: z.boolean().optional(),
    }),
    reply: MEDIA_OFFER,
  },
  'media.moved': {
    summary: 'The client uses only its newer media session: the older one may end.',
    payload: z.object({ epoch: EPOCH }),
    reply: NOTHING,
  },
  'media.check': {
    summary: 'Asks whether the media node still hosts this client, which no longer receives media.',
    payload: z.object(OF_MEDIA),
    reply: z.object({
      /** `false` if the media node lost the peer: send `media.open`. */
      alive: z.boolean(),
      /** Given if the node reports it: two answers show whether the path between the node and the client is broken. */
      ...MEDIA_TRAFFIC.partial().shape,
    }),
  },
  'transport.connect': {
    summary: 'Gives the DTLS parameters of a transport that was opened without them.',
    payload: z.object({ transportId: TRANSPORT_ID, dtlsParameters: DTLS_PARAMETERS, ...OF_MEDIA }),
    reply: NOTHING,
  },
  'transport.restartIce': {
    summary: 'Requests new ICE parameters after a change of network.',
    payload: z.object({ transportId: TRANSPORT_ID, ...OF_MEDIA }),
    reply: z.object({ iceParameters: ICE_PARAMETERS }),
  },
  'track.publish': {
    summary:
      'Publishes a track on the sending transport. A repeat with the same requestId gives the same track.',
    payload: TRACK_PUBLICATION.extend(OF_MEDIA),
    reply: z.object({ trackId: TRACK_ID }),
  },
  'track.pause': {
    summary: 'Mutes or unmutes one of the client’s own tracks.',
    payload: z.object({ trackId: TRACK_ID, paused: z.boolean(), ...OF_MEDIA }),
    reply: NOTHING,
  },
  'track.end': {
    summary: 'Ends one of the client’s own tracks.',
    payload: z.object({ trackId: TRACK_ID, ...OF_MEDIA }),
    reply: NOTHING,
  },
  subscribe: {
    summary:
      'Requests tracks of others. Tracks that cannot be opened are listed in `failed` and do not delay the others.',
    payload: z.object({ trackIds: z.array(TRACK_ID).min(1).max(MAX_SUBSCRIBE_BATCH), ...OF_MEDIA }),
    reply: z.object({
      consumers: z.array(CONSUMER_OFFER),
      failed: z.array(z.object({ trackId: TRACK_ID, error: WIRE_ERROR })),
    }),
  },
  unsubscribe: {
    summary: 'Closes consumers. Ids of closed consumers are no error.',
    payload: z.object({ consumerIds: z.array(CONSUMER_ID).min(1).max(MAX_SUBSCRIBE_BATCH), ...OF_MEDIA }),
    reply: NOTHING,
  },
  'consumer.failed': {
    summary:
      'The client cannot create a receiver for a consumer: the consumer is closed, and counted for operators.',
    payload: z.object({ consumerId: CONSUMER_ID, trackId: TRACK_ID, ...OF_MEDIA }),
    reply: NOTHING,
  },
  'consumers.update': {
    summary:
      'Pauses, resumes, or sets layers and priority of consumers. Ids of closed consumers are no error.',
    payload: CONSUMER_UPDATES.extend(OF_MEDIA),
    reply: NOTHING,
  },
  'chat.post': {
    summary:
      'Posts a message to everybody in the room. A repeat with the same requestId posts nothing twice.',
    payload: z.object({ requestId: REQUEST_ID, text: CHAT_TEXT }),
    reply: z.object({ message: CHAT_MESSAGE }),
  },
  'roster.page': {
    summary: 'Returns the next page of the roster.',
    payload: z.object({ cursor: CURSOR_TEXT }),
    reply: z.object({
      peers: z.array(ROSTER_PEER).max(ROSTER_PAGE_SIZE),
      nextCursor: CURSOR_TEXT.optional(),
    }),
  },
  sync: {
    summary:
      'Returns the events after a given one: sent when an event’s previousId is not the last one known.',
    payload: z.object({ afterEventId: EVENT_ID }),
    reply: z.discriminatedUnion('type', [
      z.object({ type: z.literal('events'), events: z.array(HEARD_EVENT) }),
      z.object({ type: z.literal('snapshot'), room: ROOM_SNAPSHOT }),
    ]),
  },
  ...FEATURE_REQUESTS,
} as const;

/**
 * The longest time between two `speakers` notices while anybody speaks, in milliseconds; repeated because a notice
 * may be lost.
 */
export const SPEAKERS_REPEAT_MS = 2_000;

/** The reason why a media node lost a media session. */
export const MEDIA_LOSS_REASON = z.enum(['worker_died', 'node_lost', 'transport_failed']);

/** Notices of the edge. */
export const EDGE_NOTICES = {
  event: { summary: 'Something happened in the room.', payload: HEARD_EVENT },
  head: {
    summary:
      'The id of the room’s last event, sent regularly: a client whose last event is older sends `sync`.',
    payload: z.object({ lastEventId: EVENT_ID }),
  },
  edges: {
    summary: 'The edges that the client may use, sent whenever they change; replaces the previous list.',
    payload: z.object({ edges: z.array(EDGE_HINT).max(64) }),
  },
  'edge.leaving': {
    summary:
      'This edge will stop: resume on another one while this connection still works. A client that is still here after ten seconds is disconnected with `bye`.',
    payload: NOTHING,
  },
  speakers: {
    summary: 'The peers of one media node who speak now, with their volume. Repeated, since it may be lost.',
    payload: z.object({
      mediaNodeId: MEDIA_NODE_ID,
      speakers: z
        /** Volume in dBov, −127 (silence) to 0 (RFC 6464). */
        .array(z.object({ peerId: PEER_ID, volumeDbov: z.int().min(-127).max(0) }))
        .max(16),
    }),
  },
  'track.demand': {
    summary:
      'The demand for one of the client’s own tracks: higher layers need not be sent. Until this arrives, every layer is wanted.',
    payload: z.object({ trackId: TRACK_ID, wanted: WANTED_LAYER }),
  },
  'publishing.limited': {
    summary:
      'The client sends more than its tracks may have: it is warned, then its tracks are paused, then ended.',
    payload: PUBLISHING_LIMIT,
  },
  'consumer.closed': {
    summary:
      'A consumer of this client is closed, for example because its track ended. With `isPathLost`, only the path of the track is lost: `subscribe` to the track again at once.',
    payload: z.object({
      consumerId: CONSUMER_ID,
      trackId: TRACK_ID,
      isPathLost: z.boolean().optional(),
    }),
  },
  'consumer.superseded': {
    summary:
      'The track of this consumer takes another path now: `subscribe` to it again, and `unsubscribe` this consumer when the new one plays. This consumer continues for ten seconds.',
    payload: z.object({ consumerId: CONSUMER_ID, trackId: TRACK_ID }),
  },
  'media.lost': {
    summary: 'The media node lost this client’s media session: send `media.open`.',
    payload: z.object({ reason: openTo(MEDIA_LOSS_REASON, 'transport_failed'), epoch: EPOCH }),
  },
  'media.move': {
    summary:
      'The media node of this media session will stop: send `media.open` with `moveFrom`, and `media.moved` when the new session carries everything. Repeated until then.',
    payload: z.object({ epoch: EPOCH }),
  },
  'session.renewed': {
    summary: 'A newer session token, sent regularly: use it in the next `resume`; the older one will expire.',
    payload: z.object({ sessionToken: TOKEN_TEXT }),
  },
  refused: {
    summary: 'A message without acknowledgement was refused.',
    payload: WIRE_ERROR,
  },
  bye: {
    summary: 'The last message before the edge closes the connection, with the reason.',
    payload: WIRE_ERROR,
  },
} as const;

export type ClientRequests = typeof CLIENT_REQUESTS;
export type ClientRequestName = RequestName<ClientRequests>;
export type ClientRequest<Name extends ClientRequestName> = RequestOf<ClientRequests, Name>;
export type ClientRequestInput<Name extends ClientRequestName> = RequestInputOf<ClientRequests, Name>;
export type ClientReply<Name extends ClientRequestName> = ReplyOf<ClientRequests, Name>;
export type EdgeNotices = typeof EDGE_NOTICES;
export type EdgeNoticeName = NoticeName<EdgeNotices>;
export type EdgeNotice<Name extends EdgeNoticeName> = NoticeOf<EdgeNotices, Name>;
export type EdgeNoticeInput<Name extends EdgeNoticeName> = NoticeInputOf<EdgeNotices, Name>;
export type Session = z.infer<typeof SESSION>;
