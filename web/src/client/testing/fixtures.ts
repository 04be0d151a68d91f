/** Well-formed pieces of the protocol for tests. */
import {
  CONSUMER_OFFER,
  KIND_OF_SOURCE,
  LOGGED_EVENT,
  MEDIA_OFFER,
  ROOM_SNAPSHOT,
  ROOM_TRACK,
  ROSTER_PEER,
  type ClientReply,
  type ConsumerOffer,
  type LoggedEvent,
  type MediaOffer,
  type RoomEntry,
  type RoomSnapshot,
  type RoomTrack,
  type RosterPeer,
  type TrackSource,
} from '@plenary/cluster/protocol';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';

export function peerOf(
  peerId: string,
  displayName = peerId,
  role: RosterPeer['role'] = 'speaker',
): RosterPeer {
  return ROSTER_PEER.parse({ peerId, displayName, role, joinedAtMs: 1_000 });
}

export function trackOf(trackId: string, peerId: string, source: TrackSource, paused = false): RoomTrack {
  return ROOM_TRACK.parse({ trackId, peerId, source, kind: KIND_OF_SOURCE[source], paused });
}

export function snapshotOf(
  content: {
    lastEventId?: string;
    peers?: RosterPeer[];
    tracks?: RoomTrack[];
    nextCursor?: string;
    peerCount?: number;
    entries?: RoomEntry[];
  } = {},
): RoomSnapshot {
  const peers = content.peers ?? [peerOf('self', 'Ada')];
  return ROOM_SNAPSHOT.parse({
    lastEventId: content.lastEventId ?? '100-0',
    peerCount: content.peerCount ?? peers.length,
    peers,
    nextCursor: content.nextCursor,
    tracks: content.tracks ?? [],
    chat: [],
    entries: content.entries ?? [],
  });
}

export function loggedEvent(id: string, previousId: string, event: LoggedEvent['event']): LoggedEvent {
  return LOGGED_EVENT.parse({ id, previousId, event });
}

export function chatEvent(id: string, previousId: string, text: string): LoggedEvent {
  return LOGGED_EVENT.parse({
    id,
    previousId,
    event: {
      type: 'chat.posted',
      message: { messageId: `m-${id}`, peerId: 'peer-b', displayName: 'Ben', text, sentAtMs: 1_000 },
    },
  });
}

export function sessionOf(edges: readonly string[] = []): ClientReply<'join'>['session'] {
  return CLIENT_REQUESTS.resume.reply.shape.session.parse({
    peerId: 'self',
    roomId: 'room',
    displayName: 'Ada',
    role: 'speaker',
    sessionToken: 'session-token',
    resumeWithinMs: 30_000,
    edgeId: 'edge-1',
    edges: edges.map((url, index) => ({ edgeId: `edge-${index + 1}`, datacenter: 'gra', url })),
  });
}

let lastConsumerMid = 0;

export function consumerOffer(
  consumerId: string,
  track: { trackId: string; peerId: string; source: TrackSource; paused?: boolean },
): ConsumerOffer {
  const kind = KIND_OF_SOURCE[track.source];
  lastConsumerMid += 1;
  const codec =
    kind === 'audio'
      ? { mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }
      : { mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 };
  return CONSUMER_OFFER.parse({
    consumerId,
    trackId: track.trackId,
    peerId: track.peerId,
    kind,
    source: track.source,
    rtpParameters: {
      mid: String(lastConsumerMid),
      codecs: [codec],
      encodings: [{ ssrc: 10_000 + lastConsumerMid }],
      rtcp: { cname: track.peerId },
    },
    paused: track.paused ?? false,
    producerPaused: false,
  });
}

let lastTransport = 0;

function transportOffer(direction: string): unknown {
  lastTransport += 1;
  return {
    id: `${direction}-${lastTransport}`,
    iceParameters: { usernameFragment: 'fragment', password: 'aPasswordOf22Characters', iceLite: true },
    iceCandidates: [
      {
        foundation: 'udpcandidate',
        priority: 1_076_302_079,
        ip: '127.0.0.1',
        address: '127.0.0.1',
        protocol: 'udp',
        port: 40_000,
        type: 'host',
      },
    ],
    dtlsParameters: {
      role: 'auto',
      fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') }],
    },
  };
}

/** The epoch of the media session that a join opens. */
export const FIRST_EPOCH = 1;

export function mediaOffer(consumers: readonly ConsumerOffer[] = [], epoch = FIRST_EPOCH): MediaOffer {
  return MEDIA_OFFER.parse({
    mediaNodeId: 'media-1',
    datacenter: 'gra',
    epoch,
    sendTransport: transportOffer('send'),
    receiveTransport: transportOffer('receive'),
    consumers,
  });
}
