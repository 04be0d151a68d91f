import type { PlenaryError } from '@plenary/cluster/errors';
import type {
  EventId,
  PeerId,
  PublishingLimit,
  Role,
  RosterPeer,
  TrackId,
  TrackSource,
} from '@plenary/cluster/protocol';
import type { ConnectionState } from './connection-state.ts';
import type { ClientLog } from './counters.ts';
import type { MediaFlow } from './media-silence.ts';
import type { OutgoingChat } from './chat-outbox.ts';
import type { ProbePort } from './probe-port.ts';
import type { LocalTrack, TrackStopReason } from './publication.ts';
import type { RejoinTicketStore } from './rejoin.ts';
import type { RoomState } from './room-state.ts';
import type { SignallingPort } from './signalling-port.ts';
import type { RemoteTrack } from './remote-tracks.ts';
import type { CreateDevice } from './warm-up.ts';

/** A join token, and the edges that its issuer knows. */
export interface TokenGrant {
  readonly token: string;
  readonly edgeUrls?: readonly string[];
  /** `false`: a rejoin needs a new token. Guests use it, because they may have another name by then. Default `true`. */
  readonly canRejoin?: boolean;
}

export interface MeetingOptions {
  /** Edges in order of preference, for example `https://meet.example.org`. */
  readonly edgeUrls: readonly string[];
  readonly roomId: string;
  /** A ready token; or `getToken`, which can also renew one. One of the two must be given. */
  readonly token?: string;
  /**
   * Requests a token from the application: before the first join, and after a session ended that the rejoin token cannot restore.
   * `fresh` is set when the previous token was refused.
   */
  readonly getToken?: (request: { readonly fresh: boolean }) => Promise<string | TokenGrant>;
  /** Stores the rejoin ticket over a reload of the page. Default: memory only. */
  readonly rejoin?: RejoinTicketStore;
  /** The name that others see, if the token does not set one. */
  readonly displayName?: string;
  /** `false` for a viewer, who needs no send transport. Default `true`. */
  readonly publish?: boolean;
  /** Earlier peer ids of this person in the room, which a reloaded page remembers. */
  readonly previousPeerIds?: readonly PeerId[];
  /** How long a join is retried while the cluster is busy, in milliseconds. Default 20,000. */
  readonly joinDeadlineMs?: number;
  /** How long the client tries to reconnect before the meeting counts as failed, in milliseconds. Default 300,000. */
  readonly reconnectDeadlineMs?: number;
  /** Connects to edges. Default: Socket.IO. */
  readonly signalling?: SignallingPort;
  /** Measures the distance to datacenters, so that a near media node is chosen. Default: over HTTP. */
  readonly probing?: ProbePort;
  /** Creates the mediasoup device. Default: the one for this browser. */
  readonly createDevice?: CreateDevice;
  readonly log?: ClientLog;
}

/**
 * State of the media path. It is independent of the edge's connection. `blocked`: no path was ever established in this meeting, although
 * there was time for one, so that the network between here and the media nodes seems to block it.
 */
export type MediaState = 'none' | 'connecting' | 'connected' | 'reconnecting' | 'blocked';

/** This person in the meeting. */
export interface Self {
  readonly peerId: PeerId;
  readonly displayName: string;
  readonly role: Role;
}

/** All that a user interface draws. Immutable; a new object whenever anything changed. */
export interface MeetingSnapshot {
  readonly connection: ConnectionState;
  readonly media: MediaState;
  /** Whether audio and video of the others arrive. */
  readonly flow: MediaFlow;
  /** Tracks of others of which nothing has arrived for two seconds, although they are not muted. */
  readonly stalled: ReadonlySet<TrackId>;
  readonly self: Self | undefined;
  /**
   * The current and previous peer ids of this person. After a rejoin the previous peer stays in the room for a while; it must not be shown
   * or announced as somebody else.
   */
  readonly ownPeerIds: ReadonlySet<PeerId>;
  /** Whether the room's link without a token admits anybody; `undefined` until an edge has reported it. */
  readonly openToGuests: boolean | undefined;
  readonly edgeId: string | undefined;
  readonly mediaNodeId: string | undefined;
  readonly datacenter: string | undefined;
  readonly room: RoomState;
  readonly remoteTracks: ReadonlyMap<TrackId, RemoteTrack>;
  readonly localTracks: ReadonlyMap<TrackSource, LocalTrack>;
  /** The current speakers, the loudest first. */
  readonly speakers: readonly PeerId[];
  /** The person's own chat messages that the room does not show yet. */
  readonly outbox: readonly OutgoingChat[];
}

/** One-time events beside the snapshot. */
export interface MeetingEvents {
  readonly 'peer-joined': RosterPeer;
  readonly 'peer-left': { readonly peerId: PeerId; readonly displayName: string | undefined };
  readonly 'chat-received': {
    readonly messageId: string;
    readonly displayName: string;
    readonly text: string;
  };
  /** A device was unplugged, or the browser's own "stop sharing" was pressed. */
  readonly 'local-track-ended': { readonly source: TrackSource };
  /** An own track is not published, and stays so until the application publishes it again: nobody sees or hears it. */
  readonly 'local-track-failed': { readonly source: TrackSource; readonly error: PlenaryError };
  /** The meeting paused or ended an own track without a request of this client: nobody sees or hears it. */
  readonly 'local-track-stopped': { readonly source: TrackSource; readonly reason: TrackStopReason };
  /** This client sends more than the meeting allows. If that goes on, the meeting pauses its tracks. */
  readonly 'publishing-warned': PublishingLimit;
  /** Something a person asked for was refused; the meeting goes on. */
  readonly problem: PlenaryError;
  /** A snapshot replaced the room; `lastEventId` is its position in the room log. */
  readonly 'room-replaced': { readonly lastEventId: EventId };
}
