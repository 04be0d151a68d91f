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
import type { LocalTrack, TakenReason } from './publication.ts';
import type { RejoinTicketStore } from './rejoin.ts';
import type { RoomState } from './room-state.ts';
import type { SignallingPort } from './signalling-port.ts';
import type { RemoteTrack } from './remote-tracks.ts';
import type { CreateDevice } from './warm-up.ts';

/** A join token, and the edges that its issuer knows. */
export interface TokenGrant {
  readonly token: string;
  readonly edgeUrls?: readonly string[];
  /** `false`: who comes back asks for another token, as a guest does, who may have another name by then. Default `true`. */
  readonly canRejoin?: boolean;
}

export interface MeetingOptions {
  /** Edges in order of preference, for example `https://meet.example.org`. */
  readonly edgeUrls: readonly string[];
  readonly roomId: string;
  /** A ready token; or `getToken`, which can also renew one. One of the two must be given. */
  readonly token?: string;
  /**
   * Asks the application for a token: before the first join, and whenever a session is over and nobody can come back by what
   * the cluster gave. `fresh` tells that the one before was refused.
   */
  readonly getToken?: (request: { readonly fresh: boolean }) => Promise<string | TokenGrant>;
  /** Where one's way back is kept over a reload of the page. Default: nowhere, only in memory. */
  readonly rejoin?: RejoinTicketStore;
  /** The name that others see, where the token leaves it open. */
  readonly displayName?: string;
  /** `false` for a viewer, who needs no transport for sending. Default `true`. */
  readonly publish?: boolean;
  /** Whom this person was in the room before, as a page that was reloaded knows it. */
  readonly previousPeerIds?: readonly PeerId[];
  /** How long a join may be retried when the cluster is busy, in milliseconds. Default 20,000. */
  readonly joinDeadlineMs?: number;
  /** How long a lost session is sought again before it counts as failed, in milliseconds. Default 300,000. */
  readonly reconnectDeadlineMs?: number;
  /** How edges are reached. Default: Socket.IO. */
  readonly signalling?: SignallingPort;
  /** How datacenters are measured, so that media is opened near by. Default: over HTTP. */
  readonly probing?: ProbePort;
  /** Makes the mediasoup device. Default: the one that fits the browser. */
  readonly createDevice?: CreateDevice;
  readonly log?: ClientLog;
}

/**
 * How the media path stands. It goes on while the edge is away, and the other way round. `blocked`: in this meeting no path has
 * ever stood, although there was time for one, so that something between here and the media nodes seems to let none through.
 */
export type MediaState = 'none' | 'connecting' | 'connected' | 'reconnecting' | 'blocked';

/** Who one is in the meeting. */
export interface Self {
  readonly peerId: PeerId;
  readonly displayName: string;
  readonly role: Role;
}

/** All that a user interface draws. Immutable; a new object whenever anything changed. */
export interface MeetingSnapshot {
  readonly connection: ConnectionState;
  readonly media: MediaState;
  /** What is known of whether sound and picture of the others arrive. */
  readonly flow: MediaFlow;
  /** Tracks of others of which nothing has arrived for two seconds, although their publishers send. */
  readonly stalled: ReadonlySet<TrackId>;
  readonly self: Self | undefined;
  /**
   * Whom this person is and was in the room. After a rejoin the room still holds the previous one for a while, which is nobody
   * else and nobody to be told of.
   */
  readonly ownPeerIds: ReadonlySet<PeerId>;
  /** Whether the room's bare link lets anybody in; `undefined` while no edge has said. */
  readonly openToGuests: boolean | undefined;
  readonly edgeId: string | undefined;
  readonly mediaNodeId: string | undefined;
  readonly datacenter: string | undefined;
  readonly room: RoomState;
  readonly remoteTracks: ReadonlyMap<TrackId, RemoteTrack>;
  readonly localTracks: ReadonlyMap<TrackSource, LocalTrack>;
  /** Who speaks now, the loudest first. */
  readonly speakers: readonly PeerId[];
  /** One's own chat messages that the room does not show yet. */
  readonly outbox: readonly OutgoingChat[];
}

/** Events beside the snapshot: things that happen once. */
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
  /** A track of one's own is not published, and will not be until it is published anew: nobody sees or hears it. */
  readonly 'local-track-failed': { readonly source: TrackSource; readonly error: PlenaryError };
  /** The meeting paused or ended a track of one's own that nobody here asked it to: nobody sees or hears it. */
  readonly 'local-track-taken': { readonly source: TrackSource; readonly reason: TakenReason };
  /** More is sent than the meeting allows; if that goes on, its tracks are paused. */
  readonly 'publishing-warned': PublishingLimit;
  /** Something a person asked for was refused; the meeting goes on. */
  readonly problem: PlenaryError;
  /** The room was replaced by a snapshot; `lastEventId` is its place in the log. */
  readonly 'room-replaced': { readonly lastEventId: EventId };
}
