import { guardCallback, every, inBackground } from '../process/guarded-callbacks.ts';
import type { Redis } from 'ioredis';
import { systemClock } from '../clock.ts';
import { answerWithin, COMMAND_TIMEOUT_MS } from './answer-within.ts';
import { storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** How often a probe checks whether a server accepts writes, in milliseconds. */
const ASK_EVERY_MS = 1_000;

/**
 * After refusing writes for this long, a server is left for whatever the address leads to then, in milliseconds: that
 * one may accept them (SPEC HL55).
 */
const LEAVE_REFUSING_MS = 5_000;

/**
 * Watches whether one server serves. ioredis reports a connection that breaks. A server that hangs keeps its
 * connections, and one that refuses writes answers `PING`, so the watch writes a probe (SPEC HL1).
 */
export class ServerWatch {
  readonly #redis: Redis;
  readonly #probe: () => Promise<unknown>;
  readonly #onFound: (trouble: StoreTrouble | undefined) => void;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;
  #connection = 0;
  /** The time since which this connection's server refuses writes. */
  #refusedSinceMs: number | undefined;
  /** The connection's last error, which comes before it closes. */
  #failure: unknown;

  /**
   * @param probe - writes to the server
   * @param onFound - called after each check, and when the connection broke: `undefined` while all is well
   */
  constructor(
    redis: Redis,
    probe: () => Promise<unknown>,
    onFound: (trouble: StoreTrouble | undefined) => void,
  ) {
    this.#redis = redis;
    this.#probe = probe;
    this.#onFound = onFound;
    redis.on(
      'error',
      guardCallback('store', (error: Error) => {
        this.#failure = error;
        // A Sentinel that names an unreachable address, or no primary, closes no connection.
        if (redis.status !== 'ready') onFound(storeTroubleOf(error));
      }),
    );
    redis.on(
      'ready',
      guardCallback('store', () => {
        this.#failure = undefined;
        this.suspect();
      }),
    );
    redis.on(
      'close',
      guardCallback('store', () => {
        this.#connection += 1;
        this.#refusedSinceMs = undefined;
        this.#isAsking = false;
        onFound(storeTroubleOf(this.#failure));
      }),
    );
    this.#timer = every(ASK_EVERY_MS, () => this.#ask());
  }

  /** Checks at once: a command has failed as in an outage. */
  suspect(): void {
    inBackground(() => this.#ask());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    if (this.#redis.status === 'connect') await this.#askWhetherItLoads();
    if (this.#isAsking || this.#redis.status !== 'ready') return;
    this.#isAsking = true;
    const connection = this.#connection;
    // A connection that breaks meanwhile reports that itself.
    const tell = (trouble: StoreTrouble | undefined): void => {
      if (connection === this.#connection) this.#onFound(trouble);
    };
    const answer = this.#probe().then(() => undefined, storeTroubleOf);
    try {
      await answerWithin(COMMAND_TIMEOUT_MS, answer);
    } catch {
      tell('no_answer');
    }
    const trouble = await answer;
    tell(trouble);
    if (connection !== this.#connection) return;
    this.#isAsking = false;
    this.#leaveWhereRefused(trouble);
  }

  #leaveWhereRefused(trouble: StoreTrouble | undefined): void {
    const nowMs = systemClock.monotonicMs();
    this.#refusedSinceMs = trouble === undefined ? undefined : (this.#refusedSinceMs ?? nowMs);
    if (this.#refusedSinceMs === undefined || nowMs - this.#refusedSinceMs < LEAVE_REFUSING_MS) return;
    this.#refusedSinceMs = nowMs;
    this.#redis.disconnect(true);
  }

  /** Behind Sentinels ioredis waits silently for a server that loads its data. */
  async #askWhetherItLoads(): Promise<void> {
    const told = await answerWithin(COMMAND_TIMEOUT_MS, this.#redis.info('persistence')).catch(() => '');
    if (/^loading:1/m.test(told) && this.#redis.status === 'connect') this.#onFound('loading');
  }
}
