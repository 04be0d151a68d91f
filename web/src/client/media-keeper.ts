import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import { atMost } from '@plenary/cluster/deadline';
import { Replaceable } from '@plenary/cluster/make-before-break';
import type { Epoch, MediaOffer } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog, Counters } from './counters.ts';
import type { JoinClock } from './join-timings.ts';
import { MediaSession } from './media-session.ts';
import type { MediaState } from './meeting-types.ts';
import { toPageError } from './page-error.ts';
import { pageTimers } from './page-timers.ts';
import type { RequestEdge } from './request-edge.ts';
import { mediaRequest, warmUp, type CreateDevice, type WarmMedia } from './warm-up.ts';

/**
 * How long media may take to connect, in milliseconds: beside other media before that is kept, and at the beginning before
 * the person is told that something blocks it.
 */
const CONNECT_WITHIN_MS = 8_000;
/** What another media node is given of that time at least, in milliseconds. */
const LEAST_WAIT_MS = 2_000;
/** How long a move may take before the old media is closed in any case, in milliseconds. */
const MOVE_WITHIN_MS = 12_000;

export interface MediaKeeperEnvironment {
  readonly request: RequestEdge;
  readonly createDevice: CreateDevice | undefined;
  readonly publish: boolean;
  /** Whether an edge listens; without one, opening media waits for the resume. */
  readonly isConnected: () => boolean;
  readonly attached: (media: MediaSession, offer: MediaOffer) => void;
  readonly detached: () => void;
  /** Everything is to go by this media from now on, while that of before goes on; resolves when it does. */
  readonly moved: (media: MediaSession, offer: MediaOffer) => Promise<void>;
  /** The media of before a move is closed. */
  readonly settled: () => void;
  readonly stateChanged: (state: MediaState) => void;
  /** The cluster refuses to open media for this session: only a fresh join helps. */
  readonly refused: (error: PlenaryError) => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** A media session, and the offer that it was opened with. */
interface OpenMedia {
  readonly media: MediaSession;
  readonly offer: MediaOffer;
}

/** Keeps media open over the lives of media nodes: what is lost is opened anew, elsewhere. */
export class MediaKeeper {
  readonly #environment: MediaKeeperEnvironment;
  #warm: Promise<WarmMedia> | undefined;
  /** The media session in use. One that is being left ends when everything goes by the newer one. */
  readonly #sessions = new Replaceable<OpenMedia>({
    open: (attempt, beside) => {
      if (beside === undefined) this.#reopen(attempt);
      else this.#openBeside(attempt, beside.media);
    },
    watch: (attempt, next) => {
      void this.#moveTo(attempt, next);
    },
    promote: (opened, replaces) => {
      if (replaces === undefined) this.#attach(opened);
    },
    close: ({ media }) => media.close(),
    // Whether it is opened anew depends on the edge.
    missing: () => undefined,
  });
  #isLost = false;
  /** It was lost because no path leads to its node. */
  #isUnreachable = false;
  /** Whether a path has stood in this meeting: where one has, the network lets media through. */
  #hasConnected = false;
  /** Since when a first path has been sought, by the monotonic clock. */
  #pathMissingSinceMs: number | undefined;
  /** No path stood within its time, or ICE gave up, and none has since. */
  #seemsBlocked = false;
  /** It is being connected beside the one in use. */
  #connecting: MediaSession | undefined;
  /** An offer that could not be connected to; the next one is to be another. */
  #unusable: Epoch | undefined;
  /** The edge is to be told that the client is on this media altogether. */
  #toTell: Epoch | undefined;

  constructor(environment: MediaKeeperEnvironment) {
    this.#environment = environment;
  }

  get media(): MediaSession | undefined {
    return this.#sessions.newest?.media;
  }

  get state(): MediaState {
    const ofMedia = this.media?.state ?? 'none';
    // Media that is opened anew is as lost as before until a path stands.
    const isLost = this.#isLost || (this.#hasConnected && ofMedia === 'connecting');
    const state = isLost ? 'reconnecting' : ofMedia;
    const isWithoutPath = state === 'connecting' || state === 'reconnecting';
    return this.#seemsBlocked && isWithoutPath ? 'blocked' : state;
  }

  /** Device and certificate, made once. */
  warm(): Promise<WarmMedia> {
    this.#warm ??= warmUp(this.#environment.createDevice, this.#environment.log).catch((thrown: unknown) => {
      // Not kept: a later join may find the browser in a better state.
      this.#warm = undefined;
      throw thrown;
    });
    return this.#warm;
  }

  /** Opens the transports of an offer in the place of whatever there was. */
  open(warm: WarmMedia, offer: MediaOffer): void {
    this.#closeAll();
    const media = this.#session(warm, offer);
    this.#sessions.dispatch({ type: 'given', item: { media, offer } });
  }

  /**
   * The node of this media will go: opens media elsewhere beside it, has everything go by that, and closes the old one
   * then. Told more than once, it does so once; what fails leaves everything as it is, since the edge says it again.
   */
  move(epoch: Epoch): void {
    if (this.media?.epoch === epoch) this.#sessions.dispatch({ type: 'begin' });
  }

  /** The edge says that media of an epoch is gone. */
  lostAt(epoch: Epoch): void {
    if (epoch === this.#connecting?.epoch) this.#connecting.close();
    // The media that is being left may end before everything goes by the other one; what is missing is on its way.
    else if (epoch >= (this.media?.epoch ?? 0)) this.lost();
  }

  /** Media is gone: opens it anew. Told more than once, it does so once. */
  lost(): void {
    if (this.#isLost || this.media === undefined) return;
    this.#isLost = true;
    this.#closeAll();
    this.#environment.detached();
    this.#environment.stateChanged(this.state);
    this.#sessions.dispatch({ type: 'begin' });
  }

  /** The media node cannot be reached from here: opens media anew, on another one if there is any. */
  unreachable(): void {
    if (this.media === undefined) return;
    this.#isUnreachable = true;
    this.#seemsBlocked = !this.#hasConnected;
    this.lost();
  }

  /** An edge listens again. */
  resumed(mediaAlive: boolean): void {
    if (this.#isLost) this.#sessions.dispatch({ type: 'begin' });
    else if (!mediaAlive) this.lost();
    this.#tellMoved();
  }

  /** Ends everything. */
  close(): void {
    this.#isLost = false;
    this.#hasConnected = false;
    this.#pathMissingSinceMs = undefined;
    this.#seemsBlocked = false;
    this.#closeAll();
    this.#environment.detached();
    this.#environment.stateChanged('none');
  }

  #closeAll(): void {
    this.#sessions.dispatch({ type: 'closed' });
    this.#connecting?.close();
    this.#connecting = undefined;
    this.#unusable = undefined;
    this.#toTell = undefined;
  }

  #session(warm: WarmMedia, offer: MediaOffer): MediaSession {
    const { request, clock, counters, log } = this.#environment;
    const { epoch } = offer;
    const media: MediaSession = new MediaSession(warm, offer, {
      connectTransport: async (transportId, dtlsParameters) => {
        await request('transport.connect', { transportId, dtlsParameters, epoch });
      },
      restartIce: async (transportId) =>
        (await request('transport.restartIce', { transportId, epoch })).iceParameters,
      stateChanged: () => {
        if (this.media !== media) return;
        if (media.state === 'connected') this.#noteConnected();
        this.#environment.stateChanged(this.state);
      },
      failed: () => {
        if (this.media === media) this.unreachable();
      },
      spoilt: () => {
        log.warn('the browser refused what was to be received; media is opened anew');
        if (this.media === media) this.lost();
        else media.close();
      },
      clock,
      counters,
      log,
    });
    return media;
  }

  /** The transports of the first one, or of what is opened after a loss. */
  #attach({ media, offer }: OpenMedia): void {
    // Where the browser throws instead, what was lost still is.
    this.#isLost = false;
    this.#isUnreachable = false;
    this.#environment.attached(media, offer);
    this.#environment.stateChanged(this.state);
    if (!this.#hasConnected) this.#watchFirstPath(media);
  }

  #noteConnected(): void {
    this.#pathMissingSinceMs = undefined;
    this.#hasConnected = true;
    this.#seemsBlocked = false;
  }

  /** Says that something blocks media when nothing connects in time; ICE and the keeper go on trying. */
  #watchFirstPath(media: MediaSession): void {
    // Its edge may have moved it meanwhile, to see whether another node is reached.
    this.#pathMissingSinceMs ??= performance.now();
    const waitedMs = performance.now() - this.#pathMissingSinceMs;
    media.whenConnected(Math.max(LEAST_WAIT_MS, CONNECT_WITHIN_MS - waitedMs)).then(
      (isConnected) => {
        if (this.media !== media || this.#hasConnected) return;
        if (isConnected) this.#noteConnected();
        else this.#seemsBlocked = true;
        this.#environment.stateChanged(this.state);
      },
      (thrown: unknown) => {
        this.#environment.log.warn('the first path could not be watched', toPlenaryError(thrown).message);
      },
    );
  }

  /** Opens media elsewhere. Handles its own errors. */
  #openBeside(attempt: number, from: MediaSession): void {
    this.#connectBeside(attempt, from).then(
      (opened) => {
        if (opened === undefined) this.#sessions.dispatch({ type: 'failed', attempt });
        else this.#sessions.dispatch({ type: 'opened', attempt, item: opened });
      },
      (thrown: unknown) => {
        this.#environment.log.warn('media could not be moved', toPlenaryError(thrown).message);
        this.#sessions.dispatch({ type: 'failed', attempt });
      },
    );
  }

  /** @returns `undefined` when that is of no use any more */
  async #connectBeside(attempt: number, { epoch }: MediaSession): Promise<OpenMedia | undefined> {
    const warm = await this.warm();
    const offer = await this.#environment.request('media.open', {
      ...mediaRequest(warm, this.#environment.publish),
      moveFrom: epoch,
      ...(this.#unusable === undefined ? {} : { insteadOf: this.#unusable }),
    });
    if (!this.#sessions.awaits(attempt)) return undefined;
    const media = this.#session(warm, offer);
    this.#connecting = media;
    const isConnected = await media.whenConnected(CONNECT_WITHIN_MS);
    if (this.#connecting !== media) return undefined;
    this.#connecting = undefined;
    this.#unusable = isConnected ? undefined : offer.epoch;
    if (isConnected) return { media, offer };
    media.close();
    throw new PlenaryError('media_unavailable', `${offer.mediaNodeId} cannot be reached.`);
  }

  /** Has everything go by the newer media, and ends the older one. Handles its own errors. */
  async #moveTo(attempt: number, { media, offer }: OpenMedia): Promise<void> {
    const { moved, settled, stateChanged, counters, log } = this.#environment;
    try {
      await atMost(pageTimers, MOVE_WITHIN_MS, moved(media, offer));
    } catch (thrown) {
      log.warn('not everything could be moved', toPlenaryError(thrown).message);
    }
    // Lost meanwhile: then media is opened anew, and nothing of this is left.
    if (this.media !== media) return;
    this.#sessions.dispatch({ type: 'carries', attempt });
    settled();
    stateChanged(this.state);
    counters.moved += 1;
    this.#toTell = media.epoch;
    this.#tellMoved();
  }

  /** Handles its own errors: what could not be told is told when an edge listens again. */
  #tellMoved(): void {
    const epoch = this.#toTell;
    if (epoch === undefined) return;
    this.#environment.request('media.moved', { epoch }).then(
      () => {
        if (this.#toTell === epoch) this.#toTell = undefined;
      },
      (thrown: unknown) => {
        this.#environment.log.warn('media.moved failed', toPlenaryError(thrown).message);
      },
    );
  }

  /** Opens media after a loss. Handles its own errors. */
  #reopen(attempt: number): void {
    this.#openAnew(attempt).catch((thrown: unknown) => {
      const error = toPageError(thrown);
      this.#environment.log.warn('media could not be opened again', error.message);
      this.#sessions.dispatch({ type: 'failed', attempt });
      this.#environment.refused(error);
    });
  }

  /** Tries until media stands, or until no edge listens; {@link resumed} then begins it again. */
  async #openAnew(attempt: number): Promise<void> {
    const { request, publish, isConnected, counters, log } = this.#environment;
    for (let tries = 0; this.#sessions.awaits(attempt) && isConnected(); tries += 1) {
      try {
        const warm = await this.warm();
        const offer = await request('media.open', {
          ...mediaRequest(warm, publish),
          ...(this.#isUnreachable ? { isUnreachable: true } : {}),
        });
        if (!this.#sessions.awaits(attempt)) return;
        const media = this.#session(warm, offer);
        this.#sessions.dispatch({ type: 'opened', attempt, item: { media, offer } });
        counters.mediaReopened += 1;
      } catch (thrown) {
        // What the browser throws may pass, as when it has too many connections yet; in a meeting one waits for it.
        if (!(thrown instanceof PlenaryError))
          log.warn('the browser did not open media; it is asked again', thrown);
        else if (!thrown.retryable) throw thrown;
        const delayMs = 100 + fullJitterMs(tries, RETRY_BACKOFF, Math.random());
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
    // Where it stands by now, nobody waits for this.
    this.#sessions.dispatch({ type: 'failed', attempt });
  }
}
