import { after, entry } from '../process/entry.ts';
import { Redis, SentinelConnector } from 'ioredis';
import type { RedisOptions, SentinelConnectionOptions } from 'ioredis';

/** Replies are mapped as ioredis always did it. */
export type ServerOptions = RedisOptions & { readonly replyMapping?: 'legacy' };

/** How long after a connection was given up it is made anew, in milliseconds. */
const CONNECT_AGAIN_MS = 50;

const namesSentinels = (options: unknown): options is SentinelConnectionOptions =>
  typeof options === 'object' && options !== null && 'sentinels' in options;

/**
 * A connection that lasts until it is closed here. ioredis gives one up for good when a Sentinel tells of a failover in the
 * very moment in which it asks for the primary: what it was told on the connection before then ends the new one, whose end
 * no `retryStrategy` is asked about. The process would have no store until somebody starts it anew.
 */
export class LastingRedis extends Redis {
  readonly #turn: () => void;
  #isClosed = false;
  /** The connection that stands has never served. */
  #isIdle = false;

  constructor(options: ServerOptions) {
    let connector: SentinelConnector | undefined;
    const made = (it: SentinelConnector): void => {
      connector = it;
    };
    class TurningConnector extends SentinelConnector {
      constructor(given: unknown) {
        if (!namesSentinels(given)) throw new TypeError('There are no Sentinels.');
        super(given);
        made(this);
      }
    }
    super({ Connector: TurningConnector, ...options });
    // So it goes on to the next Sentinel where the server is no primary.
    this.#turn = () => connector?.check({ role: 'none' });
    this.on(
      'connect',
      entry('store', () => {
        this.#isIdle = true;
      }),
    );
    this.on(
      'ready',
      entry('store', () => {
        this.#isIdle = false;
      }),
    );
    this.on(
      'close',
      entry('store', () => {
        if (this.#isIdle) this.#turn();
        this.#isIdle = false;
      }),
    );
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

  /** Leaves a server that does not serve for the one that another Sentinel names: the first one may not know of a failover. */
  leave(): void {
    this.#turn();
    this.disconnect(true);
  }

  readonly #connectAgain = (): void => {
    if (this.#isClosed || this.status !== 'end') return;
    // What it fails with is told as `error`, and its end as `end`.
    this.connect().catch(() => undefined);
  };
}
