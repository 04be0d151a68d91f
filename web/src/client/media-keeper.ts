import { toPlenaryError, type PlenaryError } from '@plenary/cluster/errors';
import type { MediaOffer } from '@plenary/cluster/protocol';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog, Counters } from './counters.ts';
import type { JoinClock } from './join-timings.ts';
import { MediaSession } from './media-session.ts';
import type { MediaState } from './meeting-types.ts';
import type { RequestEdge } from './request-edge.ts';
import { mediaRequest, warmUp, type CreateDevice, type WarmMedia } from './warm-up.ts';

export interface MediaKeeperEnvironment {
  readonly request: RequestEdge;
  readonly createDevice: CreateDevice | undefined;
  readonly publish: boolean;
  /** Whether an edge listens; without one, opening media waits for the resume. */
  readonly isConnected: () => boolean;
  readonly attached: (media: MediaSession, offer: MediaOffer) => void;
  readonly detached: () => void;
  readonly stateChanged: (state: MediaState) => void;
  /** The cluster refuses to open media for this session: only a fresh join helps. */
  readonly refused: (error: PlenaryError) => void;
  readonly clock: JoinClock;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** Keeps media open over the lives of media nodes: what is lost is opened anew, elsewhere. */
export class MediaKeeper {
  readonly #environment: MediaKeeperEnvironment;
  #warm: Promise<WarmMedia> | undefined;
  #media: MediaSession | undefined;
  #isLost = false;
  #reopening: Promise<void> | undefined;

  constructor(environment: MediaKeeperEnvironment) {
    this.#environment = environment;
  }

  get media(): MediaSession | undefined {
    return this.#media;
  }

  get state(): MediaState {
    return this.#isLost ? 'reconnecting' : (this.#media?.state ?? 'none');
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
    const { request, clock, counters, log } = this.#environment;
    this.#media?.close();
    this.#isLost = false;
    const media = new MediaSession(warm, offer, {
      connectTransport: async (transportId, dtlsParameters) => {
        await request('transport.connect', { transportId, dtlsParameters });
      },
      restartIce: async (transportId) =>
        (await request('transport.restartIce', { transportId })).iceParameters,
      stateChanged: () => {
        if (this.#media === media) this.#environment.stateChanged(this.state);
      },
      failed: () => {
        if (this.#media === media) this.lost();
      },
      clock,
      counters,
      log,
    });
    this.#media = media;
    this.#environment.attached(media, offer);
    this.#environment.stateChanged(this.state);
  }

  /** Media is gone: opens it anew. Told more than once, it does so once. */
  lost(): void {
    if (this.#isLost || this.#media === undefined) return;
    this.#isLost = true;
    this.#media.close();
    this.#media = undefined;
    this.#environment.detached();
    this.#environment.stateChanged(this.state);
    this.#reopen();
  }

  /** An edge listens again. */
  resumed(mediaAlive: boolean): void {
    if (this.#isLost) this.#reopen();
    else if (!mediaAlive) this.lost();
  }

  /** Ends everything. */
  close(): void {
    this.#isLost = false;
    this.#media?.close();
    this.#media = undefined;
    this.#environment.detached();
    this.#environment.stateChanged('none');
  }

  #reopen(): void {
    this.#reopening ??= this.#openAnew()
      .catch((thrown: unknown) => {
        const error = toPlenaryError(thrown);
        this.#environment.log.warn('media could not be opened again', error.message);
        this.#environment.refused(error);
      })
      .finally(() => {
        this.#reopening = undefined;
      });
  }

  /** Tries until media stands, or until no edge listens; {@link resumed} then begins it again. */
  async #openAnew(): Promise<void> {
    const { request, publish, isConnected, counters } = this.#environment;
    const warm = await this.warm();
    for (let attempt = 0; this.#isLost && isConnected(); attempt += 1) {
      try {
        const offer = await request('media.open', mediaRequest(warm, publish));
        if (!this.#isLost) return;
        counters.mediaReopened += 1;
        this.open(warm, offer);
      } catch (thrown) {
        if (!toPlenaryError(thrown).retryable) throw thrown;
        const delayMs = 100 + fullJitterMs(attempt, RETRY_BACKOFF, Math.random());
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
  }
}
