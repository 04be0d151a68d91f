import { entry, every } from '../process/entry.ts';
import type { Redis } from 'ioredis';
import { COMMAND_TIMEOUT_MS, within } from './deadline.ts';

/** How often a server is asked whether it answers, in milliseconds. */
const ASK_EVERY_MS = 1_000;

/**
 * Watches whether one server answers. ioredis tells of a connection that breaks; a server that hangs keeps its connections,
 * so it is asked.
 */
export class ServerWatch {
  readonly #redis: Redis;
  readonly #onChange: (answers: boolean) => void;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;
  #connection = 0;

  constructor(redis: Redis, onChange: (answers: boolean) => void) {
    this.#redis = redis;
    this.#onChange = onChange;
    redis.on(
      'ready',
      entry('store', () => onChange(true)),
    );
    redis.on(
      'close',
      entry('store', () => {
        this.#connection += 1;
        onChange(false);
      }),
    );
    this.#timer = every(ASK_EVERY_MS, () => this.#ask());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    if (this.#isAsking || this.#redis.status !== 'ready') return;
    this.#isAsking = true;
    const connection = this.#connection;
    // A connection that breaks meanwhile tells it by itself.
    const answer = this.#redis.ping().then(
      () => true,
      () => false,
    );
    const answersInTime = await within(answer, COMMAND_TIMEOUT_MS).catch(() => undefined);
    if (answersInTime === undefined && connection === this.#connection) this.#onChange(false);
    if ((await answer) && connection === this.#connection) this.#onChange(true);
    this.#isAsking = false;
  }
}
