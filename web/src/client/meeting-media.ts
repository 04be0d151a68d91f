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
import type { TakenReason } from './publication.ts';
import { Publisher } from './publisher.ts';
import type { RequestEdge } from './request-edge.ts';
import { StalledTracks } from './stalled-tracks.ts';
import { collectStats, type MeetingStats } from './stats.ts';
import { Subscriptions } from './subscriptions.ts';

/** What a snapshot says of media. */
type MediaSnapshot = Pick<
  MeetingSnapshot,
  'media' | 'flow' | 'stalled' | 'mediaNodeId' | 'datacenter' | 'remoteTracks' | 'localTracks'
>;

export interface MeetingMediaEnvironment {
  readonly request: RequestEdge;
  /** Whether an edge listens. */
  readonly isConnected: () => boolean;
  /** Who one is in the room; `undefined` before the join. */
  readonly selfPeerId: () => PeerId | undefined;
  readonly changed: (change: Partial<MediaSnapshot>) => void;
  /** A device or a screen share stopped by itself. */
  readonly trackEnded: (source: TrackSource) => void;
  readonly trackFailed: (source: TrackSource, error: PlenaryError) => void;
  readonly trackTaken: (source: TrackSource, reason: TakenReason) => void;
  /** The cluster refuses to open media for this session: only a fresh join helps. */
  readonly refused: () => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** All that is sent and received in a meeting, and those who watch whether it flows. */
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
      moved: async (media, { mediaNodeId, datacenter }) => {
        changed({ mediaNodeId, datacenter });
        await Promise.all([this.subscriptions.move(media), this.publisher.move(media)]);
      },
      settled: () => {
        this.subscriptions.completeMove();
        this.publisher.completeMove();
      },
      detached: () => {
        for (const watch of [this.#silence, this.#stalled, this.#large]) watch.stop();
        this.subscriptions.detach();
        this.publisher.detach();
      },
      // A local track also says whether its media has a path.
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
      taken: environment.trackTaken,
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
      ask: () => check.ask(),
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

  /** Whether nothing comes of what ought to. */
  get isSilent(): boolean {
    return this.#silence.isSilent;
  }

  /** An edge listens again, and the room is as it tells. */
  resumed(mediaAlive: boolean): void {
    this.keeper.resumed(mediaAlive);
    // The way to the edge and the way of media were lost together, and another connection stands: it is this client that has
    // moved to another network, and media is yet to find its way from there.
    if (this.isSilent) this.keeper.media?.seekPath();
    this.publisher.reconcile();
    this.subscriptions.plan();
  }

  close(): void {
    this.keeper.close();
    // What was on the screen says nothing about the next join, whose tracks are others.
    this.subscriptions.setWanted('all');
  }

  stats(): Promise<MeetingStats> {
    return collectStats(this.subscriptions, this.publisher, this.keeper.media?.receive);
  }

  #attached(media: MediaSession, { consumers, mediaNodeId, datacenter }: MediaOffer): void {
    const selfPeerId = this.#environment.selfPeerId();
    if (selfPeerId === undefined) return;
    // A browser negotiates on one thread: what is received goes first, what is sent follows some 30 ms later.
    void this.subscriptions.attach(media, selfPeerId, consumers).then(() => {
      if (this.keeper.media === media) this.publisher.attach(media);
    });
    for (const watch of [this.#silence, this.#stalled, this.#large]) watch.start();
    this.#environment.changed({ mediaNodeId, datacenter });
  }
}
