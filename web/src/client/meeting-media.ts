import type { PlenaryError } from '@plenary/cluster/errors';
import type { MediaOffer, PeerId, TrackSource } from '@plenary/cluster/protocol';
import type { ClientLog, Counters } from './counters.ts';
import { watchFirstFrame } from './first-frame.ts';
import type { JoinClock } from './join-timings.ts';
import { LargePictures } from './large-pictures.ts';
import { MediaCheck } from './media-check.ts';
import { MediaKeeper } from './media-keeper.ts';
import type { MediaSession } from './media-session.ts';
import { MediaSilence } from './media-silence.ts';
import type { MeetingOptions, MeetingSnapshot } from './meeting-types.ts';
import type { TrackStopReason } from './publication.ts';
import { Publisher } from './publisher.ts';
import type { RequestEdge } from './request-edge.ts';
import { StalledTracks } from './stalled-tracks.ts';
import { collectStats, type MeetingStats } from './stats.ts';
import { Subscriptions } from './subscriptions.ts';

/** The media part of a snapshot. */
type MediaSnapshot = Pick<
  MeetingSnapshot,
  'media' | 'flow' | 'stalled' | 'mediaNodeId' | 'datacenter' | 'remoteTracks' | 'localTracks'
>;

export interface MeetingMediaEnvironment {
  readonly request: RequestEdge;
  /** Whether an edge is connected. */
  readonly isConnected: () => boolean;
  /** The peer id of this client; `undefined` before the join. */
  readonly selfPeerId: () => PeerId | undefined;
  readonly changed: (change: Partial<MediaSnapshot>) => void;
  /** A device or a screen share stopped without a request of this client. */
  readonly trackEnded: (source: TrackSource) => void;
  readonly trackFailed: (source: TrackSource, error: PlenaryError) => void;
  readonly trackStopped: (source: TrackSource, reason: TrackStopReason) => void;
  /** The cluster refuses to open a media session for this session: only a fresh join helps. */
  readonly refused: () => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** The sent and received tracks of a meeting, and the watches over their flow. */
export class MeetingMedia {
  readonly keeper: MediaKeeper;
  readonly subscriptions: Subscriptions;
  readonly publisher: Publisher;
  readonly #environment: MeetingMediaEnvironment;
  readonly #silence: MediaSilence;
  readonly #stalled: StalledTracks;
  readonly #large: LargePictures;

  constructor(
    options: Pick<MeetingOptions, 'createDevice' | 'publish'>,
    environment: MeetingMediaEnvironment,
  ) {
    this.#environment = environment;
    const { request, isConnected, changed, clock, counters, log } = environment;
    this.keeper = new MediaKeeper({
      request,
      createDevice: options.createDevice,
      publish: options.publish ?? true,
      isConnected,
      attached: (media, offer) => this.#attached(media, offer),
      moveTo: async (media, { mediaNodeId, datacenter }) => {
        changed({ mediaNodeId, datacenter });
        await Promise.all([this.subscriptions.move(media), this.publisher.move(media)]);
      },
      completeMove: () => {
        this.subscriptions.completeMove();
        this.publisher.completeMove();
      },
      detached: () => {
        for (const watch of [this.#silence, this.#stalled, this.#large]) watch.stop();
        this.subscriptions.detach();
        this.publisher.detach();
      },
      // A local track also shows whether its media session has a path.
      stateChanged: (media) => changed({ media, localTracks: this.publisher.localTracks }),
      refused: environment.refused,
      clock,
      counters,
      log,
    });
    this.subscriptions = new Subscriptions({
      request,
      changed: () => changed({ remoteTracks: this.subscriptions.remoteTracks }),
      mediaLost: () => this.keeper.lost(),
      consumed: ({ kind }, consumer) => {
        clock.note('consumed');
        if (kind !== 'video' || clock.has('firstFrame')) return;
        watchFirstFrame(
          consumer,
          () => clock.note('firstFrame'),
          (thrown) => log.warn('the browser gives no statistics', thrown),
        );
      },
      log,
    });
    this.publisher = new Publisher({
      request,
      isConnected,
      changed: () => changed({ localTracks: this.publisher.localTracks }),
      published: () => clock.note('published'),
      ended: (source) => {
        if (source === 'screen' || source === 'screen-audio') this.publisher.unpublish(source);
        else this.publisher.setPaused(source, true);
        environment.trackEnded(source);
      },
      failed: environment.trackFailed,
      stoppedByMeeting: environment.trackStopped,
      mediaLost: (epoch) => this.keeper.lostAt(epoch),
      log,
    });
    const check = new MediaCheck({
      askEdge: (epoch) => request('media.check', { epoch }),
      isConnected,
      media: () => this.keeper.media,
      lostAt: (epoch) => this.keeper.lostAt(epoch),
      log,
    });
    this.#silence = new MediaSilence({
      flows: () => this.subscriptions.flows(),
      ask: () => check.askEdge(),
      iceAnswers: () => check.iceAnswers(),
      pathLost: () => this.keeper.media?.seekPath(),
      nodeLost: () => this.keeper.unreachable(),
      flowChanged: () => changed({ flow: this.#silence.flow }),
    });
    this.#stalled = new StalledTracks({
      flows: () => this.subscriptions.flows(),
      changed: (stalled) => changed({ stalled }),
    });
    this.#large = new LargePictures({
      pictures: () => this.subscriptions.pictures(),
      tooLarge: (picture, fault) => this.subscriptions.refusePicture(picture, fault),
    });
  }

  /** Whether nothing arrives although tracks should flow. */
  get isSilent(): boolean {
    return this.#silence.isSilent;
  }

  /** Continues after a resume, when the room is up to date. */
  resumed(mediaAlive: boolean): void {
    this.keeper.resumed(mediaAlive);
    // The edge's connection and the media path were lost together, and a new connection works: this client has changed its network, and
    // ICE needs a restart to find a path from there.
    if (this.isSilent) this.keeper.media?.seekPath();
    this.publisher.reconcile();
    this.subscriptions.plan();
  }

  close(): void {
    this.keeper.close();
    // The next join has other tracks, so the videos on the screen are forgotten.
    this.subscriptions.setWanted('all');
  }

  stats(): Promise<MeetingStats> {
    return collectStats(this.subscriptions, this.publisher, this.keeper.media?.receive);
  }

  #attached(media: MediaSession, { consumers, mediaNodeId, datacenter }: MediaOffer): void {
    const selfPeerId = this.#environment.selfPeerId();
    if (selfPeerId === undefined) return;
    // A browser negotiates on one thread: receiving goes first, and sending follows some 30 ms later.
    void this.subscriptions.attach(media, selfPeerId, consumers).then(() => {
      if (this.keeper.media === media) this.publisher.attach(media);
    });
    for (const watch of [this.#silence, this.#stalled, this.#large]) watch.start();
    this.#environment.changed({ mediaNodeId, datacenter });
  }
}
