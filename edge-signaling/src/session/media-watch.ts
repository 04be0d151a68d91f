import type { PlacedPeer, RoomStore } from '@plenary/cluster';
import type { MediaNodeId, RoomId } from '@plenary/cluster/ids';
import type { EdgeNotice } from '@plenary/cluster/protocol';
import type { ControlLinkListener } from '../media/control-link.ts';
import type { MediaLink } from '../media/control-links.ts';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import type { HostedMedia, LocalRooms } from '../room/local-rooms.ts';
import type { RoomChannel } from '../transport/client-socket.ts';
import type { Departures } from './departures.ts';
import type { Session } from './session.ts';

/** A link that is down for longer means a node that is lost; a killed one resets its link at once. */
export const NODE_LOST_AFTER_MS = 1_000;
/** Sessions asked about at a time when a link is back. */
const ATTACH_AT_ONCE = 16;

type LossReason = EdgeNotice<'media.lost'>['reason'];

export interface MediaWatchSettings {
  readonly rooms: RoomStore;
  readonly localRooms: LocalRooms;
  readonly departures: Departures;
  readonly channel: RoomChannel;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** Turns what control links tell into what clients are told (SPEC CL4, SE8). */
export class MediaWatch implements ControlLinkListener {
  readonly #settings: MediaWatchSettings;
  readonly #lossTimers = new Map<MediaNodeId, NodeJS.Timeout>();

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
    void this.#settings.departures.retryDrops(link.mediaNodeId);
    void this.#takeUpAgain(link);
  };

  readonly onDown: ControlLinkListener['onDown'] = (link) => {
    clearTimeout(this.#lossTimers.get(link.mediaNodeId));
    const timer = setTimeout(() => {
      this.#lossTimers.delete(link.mediaNodeId);
      const lost = this.#settings.localRooms.mediaOn(link.mediaNodeId);
      void this.lose(lost, 'node_lost');
    }, NODE_LOST_AFTER_MS);
    this.#lossTimers.set(link.mediaNodeId, timer);
  };

  readonly onRoomEvents: ControlLinkListener['onRoomEvents'] = ({ roomId, events }) => {
    this.#settings.channel.publishEvents(roomId, events);
  };

  readonly onSpeakers: ControlLinkListener['onSpeakers'] = (mediaNodeId, { roomId, speakers }) => {
    this.#settings.channel.publish(roomId, 'speakers', { mediaNodeId, speakers });
  };

  readonly onConsumerClosed: ControlLinkListener['onConsumerClosed'] = (news) => {
    const session = this.#sessionOf(news);
    session?.socket?.notify('consumer.closed', { consumerId: news.consumerId, trackId: news.trackId });
  };

  readonly onConsumerSuperseded: ControlLinkListener['onConsumerSuperseded'] = (news) => {
    const { consumerId, trackId } = news;
    this.#sessionOf(news)?.socket?.notify('consumer.superseded', { consumerId, trackId });
  };

  readonly onTrackDemand: ControlLinkListener['onTrackDemand'] = (news) => {
    const { trackId, wanted } = news;
    this.#sessionOf(news)?.socket?.notify('track.demand', { trackId, wanted });
  };

  readonly onPeerLost: ControlLinkListener['onPeerLost'] = (news) => {
    const session = this.#sessionOf(news);
    const media = session?.mediaOf(news.epoch);
    if (session !== undefined && media !== undefined) void this.lose([{ session, media }], news.reason);
  };

  readonly onPeerMove: ControlLinkListener['onPeerMove'] = (news) => {
    this.#sessionOf(news)?.socket?.notify('media.move', { epoch: news.epoch });
  };

  /** Tells sessions, once of each media, that it is gone. Where nobody else can, ends its tracks. Never throws. */
  async lose(hosted: readonly HostedMedia[], reason: LossReason): Promise<void> {
    const news = hosted.filter(({ session, media }) => session.noteMediaLost(media.epoch));
    for (const { session, media } of news) {
      this.#settings.metrics.mediaLost.inc({ reason });
      session.socket?.notify('media.lost', { reason, epoch: media.epoch });
    }
    // A node that lives ends the tracks itself.
    if (reason !== 'node_lost') return;
    const byRoom = Map.groupBy(news, ({ session }) => session.roomId);
    for (const [roomId, lost] of byRoom) await this.#endTracks(roomId, lost);
  }

  async #endTracks(roomId: RoomId, lost: readonly HostedMedia[]): Promise<void> {
    const { rooms, channel, reportFault } = this.#settings;
    const placements = new Set(lost.map(({ session, media }) => `${session.peerId} ${media.epoch}`));
    try {
      const { tracks } = await rooms.view(roomId);
      const ended = tracks.filter(({ peerId, epoch }) => placements.has(`${peerId} ${epoch}`));
      if (ended.length === 0) return;
      const trackIds = ended.map((track) => track.trackId);
      channel.publishEvents(roomId, await rooms.endTracks(roomId, trackIds, 'node_lost'));
    } catch (fault) {
      // The sweep ends them later.
      reportFault('sweep', fault, { doing: 'ending the tracks of a lost node' });
    }
  }

  /** A link that is up anew: the node may be another life, or have dropped peers without our hearing of it. */
  async #takeUpAgain(link: MediaLink): Promise<void> {
    const hosted = this.#settings.localRooms.mediaOn(link.mediaNodeId);
    const another = hosted.filter(({ media }) => media.incarnation !== link.incarnation);
    await this.lose(another, 'node_lost');
    const same = hosted.filter((one) => !another.includes(one));
    for (let index = 0; index < same.length; index += ATTACH_AT_ONCE) {
      const batch = same.slice(index, index + ATTACH_AT_ONCE);
      await Promise.all(batch.map(async (one) => this.#attachAgain(link, one)));
    }
  }

  async #attachAgain(link: MediaLink, { session, media }: HostedMedia): Promise<void> {
    try {
      const { alive } = await link.call('peer.attach', session.placedAt(media));
      if (!alive) await this.lose([{ session, media }], 'node_lost');
    } catch (fault) {
      // A link that broke again is taken up again when it is back.
      this.#settings.reportFault('control_link', fault, { doing: 'peer.attach' });
    }
  }

  #sessionOf(news: PlacedPeer): Session | undefined {
    const session = this.#settings.localRooms.find(news.peerId);
    return session?.roomId === news.roomId && session.mediaOf(news.epoch) !== undefined ? session : undefined;
  }
}
