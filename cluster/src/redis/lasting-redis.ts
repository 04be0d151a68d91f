import { after, entry } from '../process/entry.ts';
import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';

/** Replies are mapped as ioredis always did it. */
export type ServerOptions = RedisOptions & { readonly replyMapping?: 'legacy' };

/** How long after a connection was given up it is made anew, in milliseconds. */
const CONNECT_AGAIN_MS = 50;

/**
 * A connection that lasts until it is closed here. ioredis gives one up for good when a Sentinel tells of a failover in the
 * very moment in which it asks for the primary: what it was told on the connection before then ends the new one, whose end
 * no `retryStrategy` is asked about. The process would have no store until somebody starts it anew.
 */
export class LastingRedis extends Redis {
  #isClosed = false;

  constructor(options: ServerOptions) {
    super(options);
    this.on(
      'end',
      entry('store', () => after(CONNECT_AGAIN_MS, this.#connectAgain)),
    );
  }

  /** @param reconnect - `true`: only this connection ends, as ioredis itself does after an error */
  override disconnect(reconnect = false): void {
    if (!reconnect) this.#isClosed = true;
    super.disconnect(reconnect);
  }

  readonly #connectAgain = (): void => {
    if (this.#isClosed || this.status !== 'end') return;
    // What it fails with is told as `error`, and its end as `end`.
    this.connect().catch(() => undefined);
  };
}
