import { after, afterTurn, inBackground, PlenaryError, sideBySide } from '@plenary/cluster';
import type { MediaNodeRecord, PlacedPeer, PlacementStore, RoomLog } from '@plenary/cluster';
import type { MediaNodeId, PeerId, RoomId, TrackId } from '@plenary/cluster/ids';
import type { EdgeNotice, RoomEvent } from '@plenary/cluster/protocol';
import { NODE_LOST_AFTER_MS } from './link-trouble.ts';
import type { ControlLinkListener } from './control-link.ts';
import type { MediaNodeLink } from './control-links.ts';
import type { Directory } from '../directory/directory.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { HostedMedia, LocalRooms } from '../room/local-rooms.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { Session } from '../entry/session.ts';

/** Sessions that are attached again at a time when a link is back. */
const ATTACH_AT_ONCE = 16;
/** Rooms whose tracks are ended at a time when a media node is lost. */
const ROOMS_AT_ONCE = 32;
/** How long after a failure a session is attached again, in milliseconds. */
const ATTACH_AGAIN_MS = 2_000;

type LossReason = EdgeNotice<'media.lost'>['reason'];

export interface MediaWatchSettings {
  readonly placements: Pick<PlacementStore, 'view'>;
  readonly roomLog: Pick<RoomLog, 'endTracks'>;
  readonly localRooms: LocalRooms;
  readonly directory: Pick<Directory, 'mediaNodes'>;
  readonly channel: RoomChannel;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** Turns the notices of media nodes and the changes of control links into notices to clients (SPEC CL4, SE8). */
export class MediaWatch implements ControlLinkListener {
  readonly #settings: MediaWatchSettings;
  readonly #lossTimers = new Map<MediaNodeId, NodeJS.Timeout>();
  /** Notices about peers that are being admitted, by peer; each waits until the session can receive it. */
  readonly #kept = new Map<PeerId, Set<(() => void)[]>>();

  constructor(settings: MediaWatchSettings) {
    this.#settings = settings;
  }

  stop(): void {
    for (const timer of this.#lossTimers.values()) clearTimeout(timer);
    this.#lossTimers.clear();
  }

  readonly onUp: ControlLinkListener['onUp'] = (link) => {
    clearTimeout(this.#lossTimers.get(link.mediaNodeId));
    this.#lossTimers.delete(link.mediaNodeId);
    inBackground(() => this.#resumeSessionsOn(link));
  };

  readonly onDown: ControlLinkListener['onDown'] = (link, why) => {
    clearTimeout(this.#lossTimers.get(link.mediaNodeId));
    const timer = after(NODE_LOST_AFTER_MS[why], () => {
      this.#lossTimers.delete(link.mediaNodeId);
      const lost = this.#settings.localRooms.mediaOn(link.mediaNodeId);
      inBackground(() => this.lose(lost, 'node_lost'));
    });
    this.#lossTimers.set(link.mediaNodeId, timer);
  };

  readonly onRoomEvents: ControlLinkListener['onRoomEvents'] = (mediaNodeId, { roomId, events }) => {
    const own = events.filter(({ event }) => this.#mayTell(mediaNodeId, roomId, event));
    if (own.length < events.length) this.#reportForeignPeers(mediaNodeId, 'room.events');
    if (own.length > 0) this.#settings.channel.publishEvents(roomId, own);
  };

  readonly onSpeakers: ControlLinkListener['onSpeakers'] = (mediaNodeId, { roomId, speakers }) => {
    const own = speakers.filter(({ peerId }) => this.#mayHost(mediaNodeId, roomId, peerId));
    if (own.length < speakers.length) this.#reportForeignPeers(mediaNodeId, 'speakers');
    this.#settings.channel.publish(roomId, 'speakers', { mediaNodeId, speakers: own });
  };

  readonly onConsumerClosed: ControlLinkListener['onConsumerClosed'] = (mediaNodeId, news) => {
    const { consumerId, trackId, isPathLost } = news;
    this.#tell(mediaNodeId, news, (session) => {
      // Most often the track has ended. A track that has not is read again when a client subscribes to it.
      if (isPathLost !== true) this.#settings.localRooms.tracksOf(session.roomId).forget([trackId]);
      session.consumers.closed([consumerId]);
      session.socket?.notify('consumer.closed', { consumerId, trackId, isPathLost });
    });
  };

  readonly onConsumerSuperseded: ControlLinkListener['onConsumerSuperseded'] = (mediaNodeId, news) => {
    const { consumerId, trackId } = news;
    this.#tell(mediaNodeId, news, (session) =>
      session.socket?.notify('consumer.superseded', { consumerId, trackId }),
    );
  };

  readonly onTrackDemand: ControlLinkListener['onTrackDemand'] = (mediaNodeId, news) => {
    const { trackId, wanted } = news;
    this.#tell(mediaNodeId, news, (session) => session.socket?.notify('track.demand', { trackId, wanted }));
  };

  readonly onPublishingLimited: ControlLinkListener['onPublishingLimited'] = (mediaNodeId, news) => {
    const { step, bitrate, limit } = news;
    this.#tell(mediaNodeId, news, (session) =>
      session.socket?.notify('publishing.limited', { step, bitrate, limit }),
    );
  };

  readonly onPeerLost: ControlLinkListener['onPeerLost'] = (mediaNodeId, news) => {
    this.#tell(mediaNodeId, news, (session) => {
      const media = session.mediaSessionOf(news.epoch);
      if (media !== undefined) inBackground(() => this.lose([{ session, media }], news.reason));
    });
  };

  /** Moves a client without a path to its node to another node, if there is one, twice at most (SPEC HL25). */
  readonly onPeerUnreached: ControlLinkListener['onPeerUnreached'] = (mediaNodeId, news) => {
    this.#tell(mediaNodeId, news, (session) => {
      const media = session.mediaSessionOf(news.epoch);
      if (media === undefined || !session.noteUnreached(mediaNodeId)) return;
      const isBetter = ({ mediaNodeId: other, state, isUnreached }: MediaNodeRecord): boolean =>
        state === 'serving' && !isUnreached && !session.unreachedNodes.includes(other);
      if (!this.#settings.directory.mediaNodes.some(isBetter)) return;
      inBackground(() => this.lose([{ session, media }], 'transport_failed', 'unreached'));
    });
  };

  readonly onPeerMove: ControlLinkListener['onPeerMove'] = (mediaNodeId, news) => {
    this.#tell(mediaNodeId, news, ({ socket }) => socket?.notify('media.move', { epoch: news.epoch }));
  };

  /**
   * Keeps notices for a peer that is being admitted or placed again: its media node already sends them, but its session
   * cannot receive them yet (SPEC SE15).
   * @returns a function to call when the session exists, or when the entry failed. It delivers the kept notices after the
   *   answer that the client waits for, which is sent by the end of that turn.
   */
  keepFor(peerId: PeerId): () => void {
    const kept: (() => void)[] = [];
    const all = this.#kept.get(peerId) ?? new Set();
    all.add(kept);
    this.#kept.set(peerId, all);
    return () => {
      if (!all.delete(kept)) return;
      if (all.size === 0) this.#kept.delete(peerId);
      if (kept.length === 0) return;
      afterTurn(() => {
        for (const tell of kept) tell();
      });
    };
  }

  /** Notifies sessions once of each lost media session. Ends its tracks if the node cannot do so. Never throws. */
  async lose(
    hosted: readonly HostedMedia[],
    reason: LossReason,
    counted: LossReason | 'unreached' = reason,
  ): Promise<void> {
    const news = hosted.filter(({ session, media }) => session.noteMediaLost(media.epoch));
    for (const { session, media } of news) {
      this.#settings.metrics.mediaLost.inc({ reason: counted });
      session.socket?.notify('media.lost', { reason, epoch: media.epoch });
    }
    // A running node ends the tracks itself.
    if (reason !== 'node_lost') return;
    const byRoom = Map.groupBy(news, ({ session }) => session.roomId);
    // Rooms run side by side, so that a slow store delays no others when a node of many small rooms is lost.
    await sideBySide(byRoom, ROOMS_AT_ONCE, ([roomId, ofRoom]) => this.#endTracks(roomId, ofRoom));
  }

  async #endTracks(roomId: RoomId, lost: readonly HostedMedia[]): Promise<void> {
    const { placements, roomLog, channel, reportFault } = this.#settings;
    const lostMedia = new Set(lost.map(({ session, media }) => `${session.peerId} ${media.epoch}`));
    try {
      const { tracks } = await placements.view(roomId);
      const ended = tracks.filter(({ peerId, epoch }) => lostMedia.has(`${peerId} ${epoch}`));
      if (ended.length === 0) return;
      const trackIds = ended.map((track) => track.trackId);
      channel.publishEvents(roomId, await roomLog.endTracks(roomId, trackIds, 'node_lost'));
    } catch (fault) {
      // The sweep ends these tracks later.
      reportFault('sweep', fault, { doing: 'ending the tracks of a lost node' });
    }
  }

  /** Attaches sessions again after a link came up: the node may have restarted, or dropped peers while the link was down. */
  async #resumeSessionsOn(link: MediaNodeLink): Promise<void> {
    const hosted = this.#settings.localRooms.mediaOn(link.mediaNodeId);
    const another = hosted.filter(({ media }) => media.incarnation !== link.incarnation);
    await this.lose(another, 'node_lost');
    const same = hosted.filter((one) => !another.includes(one));
    for (let index = 0; index < same.length; index += ATTACH_AT_ONCE) {
      const batch = same.slice(index, index + ATTACH_AT_ONCE);
      await Promise.all(batch.map(async (one) => this.#attachAgain(link, one)));
    }
  }

  async #attachAgain(link: MediaNodeLink, { session, media }: HostedMedia): Promise<void> {
    try {
      const { alive } = await link.call('peer.attach', session.placedAt(media));
      if (!alive) await this.lose([{ session, media }], 'node_lost');
    } catch (fault) {
      this.#settings.reportFault('control_link', fault, { doing: 'peer.attach' });
      // If the link broke again, `onUp` attaches the session. If it holds, the attempt must be repeated here, because a node
      // frees peers that no edge claims.
      after(ATTACH_AGAIN_MS, () => {
        const { localRooms } = this.#settings;
        const isLive = localRooms.holds(session) && session.mediaSessionOf(media.epoch) !== undefined;
        if (link.isUp && isLive) inBackground(() => this.#attachAgain(link, { session, media }));
      }).unref();
    }
  }

  /**
   * Whether a peer may be on a node. This edge knows the nodes of the peers that it serves, and believes any node about other
   * peers. A compromised node can speak for its own peers only (SPEC CL15).
   */
  #mayHost(mediaNodeId: MediaNodeId, roomId: RoomId, peerId: PeerId): boolean {
    const session = this.#settings.localRooms.find(peerId);
    if (session === undefined) return true;
    return session.roomId === roomId && session.allMedia.some((media) => media.mediaNodeId === mediaNodeId);
  }

  #mayTell(mediaNodeId: MediaNodeId, roomId: RoomId, event: RoomEvent): boolean {
    switch (event.type) {
      case 'peer.left':
        return this.#mayHost(mediaNodeId, roomId, event.peerId);
      case 'track.published':
        return (
          this.#mayHost(mediaNodeId, roomId, event.track.peerId) &&
          this.#mayBeHome(mediaNodeId, roomId, event.track.trackId)
        );
      // A peer that moved leaves tracks on its old node, which ends them.
      case 'track.changed':
        return this.#mayBeHome(mediaNodeId, roomId, event.trackId);
      case 'track.ended':
        return (
          this.#mayBeHome(mediaNodeId, roomId, event.trackId) &&
          this.#settings.localRooms.tracksOf(roomId).mayBeOf(event.peerId, event.trackId)
        );
      case 'peer.joined':
      case 'chat.posted':
      case 'entries.changed':
        return false;
    }
  }

  #mayBeHome(mediaNodeId: MediaNodeId, roomId: RoomId, trackId: TrackId): boolean {
    const home = this.#settings.localRooms.tracksOf(roomId).homeNodeOf(trackId);
    return home === undefined || home === mediaNodeId;
  }

  #reportForeignPeers(mediaNodeId: MediaNodeId, name: string): void {
    const error = new PlenaryError('unauthorised', 'It tells of peers that live on another node.');
    this.#settings.reportFault('control_notice', error, { mediaNodeId, name });
  }

  /** Passes a notice to the session on that node: now, or once the session can receive it while the peer is being admitted. */
  #tell(mediaNodeId: MediaNodeId, news: PlacedPeer, tell: (session: Session) => void): void {
    const tellNow = (): void => {
      const session = this.#settings.localRooms.find(news.peerId);
      if (session?.roomId === news.roomId && session.mediaSessionOf(news.epoch)?.mediaNodeId === mediaNodeId)
        tell(session);
    };
    const all = this.#kept.get(news.peerId);
    if (all === undefined) tellNow();
    else for (const kept of all) kept.push(tellNow);
  }
}
