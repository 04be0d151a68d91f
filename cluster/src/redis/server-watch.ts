import { entry, every, inBackground } from '../process/entry.ts';
import type { Redis } from 'ioredis';
import { systemClock } from '../clock.ts';
import { answerWithin, COMMAND_TIMEOUT_MS } from './answer-within.ts';
import { storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** How often a server is asked whether it takes writes, in milliseconds. */
const ASK_EVERY_MS = 1_000;

/**
 * A server that refuses writes for so long is left for whatever the address leads to then, in milliseconds: that may be one which takes
 * them (SPEC HL55).
 */
const LEAVE_REFUSING_MS = 5_000;

/**
 * Watches whether one server serves. ioredis tells of a connection that breaks; a server that hangs keeps its connections,
 * and one that refuses writes answers `PING`, so a write is asked for (SPEC HL1).
 */
export class ServerWatch {
  readonly #redis: Redis;
  readonly #probe: () => Promise<unknown>;
  readonly #onFound: (trouble: StoreTrouble | undefined) => void;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;
  #connection = 0;
  /** Since when this connection's server refuses writes. */
  #refusedSinceMs: number | undefined;
  /** What the connection failed with, which is told before it closes. */
  #failure: unknown;

  /**
   * @param probe - writes something
   * @param onFound - told after each look, and when the connection broke: `undefined` where all is well
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
      entry('store', (error: Error) => {
        this.#failure = error;
        // A Sentinel that names an address that nobody reaches, or no primary, closes no connection.
        if (redis.status !== 'ready') onFound(storeTroubleOf(error));
      }),
    );
    redis.on(
      'ready',
      entry('store', () => {
        this.#failure = undefined;
        this.suspect();
      }),
    );
    redis.on(
      'close',
      entry('store', () => {
        this.#connection += 1;
        this.#refusedSinceMs = undefined;
        this.#isAsking = false;
        onFound(storeTroubleOf(this.#failure));
      }),
    );
    this.#timer = every(ASK_EVERY_MS, () => this.#ask());
  }

  /** Asks now: a command has failed in a way that an outage explains. */
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
    // A connection that breaks meanwhile tells it by itself.
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

  /** Behind Sentinels ioredis waits for a server that loads its data, and says nothing of it. */
  async #askWhetherItLoads(): Promise<void> {
    const told = await answerWithin(COMMAND_TIMEOUT_MS, this.#redis.info('persistence')).catch(() => '');
    if (/^loading:1/m.test(told) && this.#redis.status === 'connect') this.#onFound('loading');
  }
}
