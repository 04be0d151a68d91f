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
 * Time limit for connecting a media session, in milliseconds. After it, a move fails and the old session stays; a first session is
 * reported as blocked.
 */
const CONNECT_WITHIN_MS = 8_000;
/** Shortest time limit for a session on another media node, in milliseconds. */
const LEAST_WAIT_MS = 2_000;
/** Time limit of a move, after which the old session is closed in any case, in milliseconds. */
const MOVE_WITHIN_MS = 12_000;

export interface MediaKeeperEnvironment {
  readonly request: RequestEdge;
  readonly createDevice: CreateDevice | undefined;
  readonly publish: boolean;
  /** Whether an edge is connected. Without one, a media session is opened after the resume. */
  readonly isConnected: () => boolean;
  readonly attached: (media: MediaSession, offer: MediaOffer) => void;
  readonly detached: () => void;
  /** Moves all tracks to this session while the old one goes on; resolves when they are moved. */
  readonly moveTo: (media: MediaSession, offer: MediaOffer) => Promise<void>;
  /** The old session of a move was closed. */
  readonly completeMove: () => void;
  readonly stateChanged: (state: MediaState) => void;
  /** The cluster refuses to open a media session: only a fresh join helps. */
  readonly refused: (error: PlenaryError) => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** A media session with its offer. */
interface OpenMedia {
  readonly media: MediaSession;
  readonly offer: MediaOffer;
}

/** Keeps a media session open: reopens a lost one, on another media node if needed. */
export class MediaKeeper {
  readonly #environment: MediaKeeperEnvironment;
  #warm: Promise<WarmMedia> | undefined;
  /** The current media session. During a move the old one ends when all tracks use the new one. */
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
    // The session is reopened only while an edge is connected, so `lost` and `resumed` begin that.
    missing: () => undefined,
  });
  #isLost = false;
  /** Whether the session was lost because no path leads to its media node. */
  #isUnreachable = false;
  /** Whether a path was ever established in this meeting, so that the network does not block media. */
  #hasConnected = false;
  /** Since when the first path is sought, by the monotonic clock. */
  #pathMissingSinceMs: number | undefined;
  /** Whether no path was established in time, or ICE failed, and none was established since. */
  #seemsBlocked = false;
  /** The session that is being connected beside the current one. */
  #connecting: MediaSession | undefined;
  /** The epoch of an offer that could not be connected; the next offer must be on another node. */
  #unusableEpoch: Epoch | undefined;
  /** The epoch of a completed move that the edge does not know yet. */
  #unreportedMove: Epoch | undefined;

  constructor(environment: MediaKeeperEnvironment) {
    this.#environment = environment;
  }

  get media(): MediaSession | undefined {
    return this.#sessions.newest?.media;
  }

  get state(): MediaState {
    const sessionState = this.media?.state ?? 'none';
    // A reopened session counts as lost until its path is established.
    const isLost = this.#isLost || (this.#hasConnected && sessionState === 'connecting');
    const state = isLost ? 'reconnecting' : sessionState;
    const isWithoutPath = state === 'connecting' || state === 'reconnecting';
    return this.#seemsBlocked && isWithoutPath ? 'blocked' : state;
  }

  /** Creates device and certificate once. */
  warm(): Promise<WarmMedia> {
    this.#warm ??= warmUp(this.#environment.createDevice, this.#environment.log).catch((thrown: unknown) => {
      // A failure is not cached: a later join may succeed.
      this.#warm = undefined;
      throw thrown;
    });
    return this.#warm;
  }

  /** Opens the transports of an offer, and closes all older ones. */
  open(warm: WarmMedia, offer: MediaOffer): void {
    this.#closeAll();
    const media = this.#session(warm, offer);
    this.#sessions.dispatch({ type: 'given', item: { media, offer } });
  }

  /**
   * Moves away from a media node that will stop: opens a session elsewhere, moves all tracks to it, and closes the old one. Repeated calls
   * have no effect. After a failure the old session stays; the edge repeats its request.
   */
  move(epoch: Epoch): void {
    if (this.media?.epoch === epoch) this.#sessions.dispatch({ type: 'begin' });
  }

  /** Handles the edge's report that the media session of an epoch is lost. */
  lostAt(epoch: Epoch): void {
    if (epoch === this.#connecting?.epoch) this.#connecting.close();
    // The old session of a move may end early: its remaining tracks are already requested on the new one.
    else if (epoch >= (this.media?.epoch ?? 0)) this.lost();
  }

  /** Reopens the lost media session. Repeated calls have no effect. */
  lost(): void {
    if (this.#isLost || this.media === undefined) return;
    this.#isLost = true;
    this.#closeAll();
    this.#environment.detached();
    this.#environment.stateChanged(this.state);
    this.#sessions.dispatch({ type: 'begin' });
  }

  /** Reopens the media session on another node if there is one, because this client cannot reach the current node. */
  unreachable(): void {
    if (this.media === undefined) return;
    this.#isUnreachable = true;
    this.#seemsBlocked = !this.#hasConnected;
    this.lost();
  }

  /** Continues after a resume at an edge. */
  resumed(mediaAlive: boolean): void {
    if (this.#isLost) this.#sessions.dispatch({ type: 'begin' });
    else if (!mediaAlive) this.lost();
    this.#reportMoved();
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
    this.#unusableEpoch = undefined;
    this.#unreportedMove = undefined;
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
      negotiationFailed: () => {
        log.warn('the browser rejected a negotiation; the media session is reopened');
        if (this.media === media) this.lost();
        else media.close();
      },
      clock,
      counters,
      log,
    });
    return media;
  }

  /** Uses a first session, or one that was reopened after a loss. */
  #attach({ media, offer }: OpenMedia): void {
    // Only now: if the browser throws before, the session is still lost.
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

  /** Reports `blocked` when nothing connects in time. ICE and this keeper go on trying. */
  #watchFirstPath(media: MediaSession): void {
    // The clock goes on over sessions: the edge may have moved the client meanwhile, to try another node.
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

  /** Opens a session on another node. Handles its own errors. */
  #openBeside(attempt: number, from: MediaSession): void {
    this.#connectBeside(attempt, from).then(
      (opened) => {
        if (opened === undefined) this.#sessions.dispatch({ type: 'failed', attempt });
        else this.#sessions.dispatch({ type: 'opened', attempt, item: opened });
      },
      (thrown: unknown) => {
        this.#environment.log.warn(
          'no media session could be opened to move to',
          toPlenaryError(thrown).message,
        );
        this.#sessions.dispatch({ type: 'failed', attempt });
      },
    );
  }

  /** @returns `undefined` when the move was cancelled meanwhile */
  async #connectBeside(attempt: number, { epoch }: MediaSession): Promise<OpenMedia | undefined> {
    const warm = await this.warm();
    const offer = await this.#environment.request('media.open', {
      ...mediaRequest(warm, this.#environment.publish),
      moveFrom: epoch,
      ...(this.#unusableEpoch === undefined ? {} : { insteadOf: this.#unusableEpoch }),
    });
    if (!this.#sessions.awaits(attempt)) return undefined;
    const media = this.#session(warm, offer);
    this.#connecting = media;
    const isConnected = await media.whenConnected(CONNECT_WITHIN_MS);
    if (this.#connecting !== media) return undefined;
    this.#connecting = undefined;
    this.#unusableEpoch = isConnected ? undefined : offer.epoch;
    if (isConnected) return { media, offer };
    media.close();
    throw new PlenaryError('media_unavailable', `${offer.mediaNodeId} cannot be reached.`);
  }

  /** Moves all tracks to the new session, and closes the old one. Handles its own errors. */
  async #moveTo(attempt: number, { media, offer }: OpenMedia): Promise<void> {
    const { moveTo, completeMove, stateChanged, counters, log } = this.#environment;
    try {
      await atMost(pageTimers, MOVE_WITHIN_MS, moveTo(media, offer));
    } catch (thrown) {
      log.warn('some tracks could not be moved to the new media session', toPlenaryError(thrown).message);
    }
    // If the session was lost meanwhile, a reopened one has replaced it.
    if (this.media !== media) return;
    this.#sessions.dispatch({ type: 'carries', attempt });
    completeMove();
    stateChanged(this.state);
    counters.moved += 1;
    this.#unreportedMove = media.epoch;
    this.#reportMoved();
  }

  /** Reports a completed move to the edge. Handles its own errors: a failed report is repeated after the next resume. */
  #reportMoved(): void {
    const epoch = this.#unreportedMove;
    if (epoch === undefined) return;
    this.#environment.request('media.moved', { epoch }).then(
      () => {
        if (this.#unreportedMove === epoch) this.#unreportedMove = undefined;
      },
      (thrown: unknown) => {
        this.#environment.log.warn('media.moved failed', toPlenaryError(thrown).message);
      },
    );
  }

  /** Opens a session after a loss. Handles its own errors. */
  #reopen(attempt: number): void {
    this.#openWithRetries(attempt).catch((thrown: unknown) => {
      const error = toPageError(thrown);
      this.#environment.log.warn('the media session could not be reopened', error.message);
      this.#sessions.dispatch({ type: 'failed', attempt });
      this.#environment.refused(error);
    });
  }

  /** Retries until a session is open, or no edge is connected; then {@link resumed} begins again. */
  async #openWithRetries(attempt: number): Promise<void> {
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
        // An error of the browser may be temporary, for example while it has too many connections, so the client retries.
        if (!(thrown instanceof PlenaryError))
          log.warn('the browser could not create the transports; the client retries', thrown);
        else if (!thrown.retryable) throw thrown;
        const delayMs = 100 + fullJitterMs(tries, RETRY_BACKOFF, Math.random());
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
    // Without an edge the attempt fails. If a session is open by now, this event has no effect.
    this.#sessions.dispatch({ type: 'failed', attempt });
  }
}
