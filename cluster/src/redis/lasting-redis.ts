import { after, guardCallback } from '../process/guarded-callbacks.ts';
import { Redis, SentinelConnector, SentinelIterator } from 'ioredis';
import type { RedisOptions, SentinelAddress, SentinelConnectionOptions } from 'ioredis';

/** Replies keep ioredis' legacy mapping. */
export type ServerOptions = RedisOptions & { readonly replyMapping?: 'legacy' };

/** How long after closing a connection a new one is opened, in milliseconds. */
const CONNECT_AGAIN_MS = 50;

type Connector = InstanceType<NonNullable<RedisOptions['Connector']>>;

/** Whether to skip the Sentinel that answered last. */
interface Turn {
  isNext: boolean;
}

type Sentinel = Partial<SentinelAddress>;

/** The Sentinels that ioredis knows, and the position in their list. */
class AskedSentinels extends SentinelIterator {
  #known: number;
  #asked = 0;

  constructor(sentinels: Sentinel[]) {
    super(sentinels);
    this.#known = sentinels.length;
  }

  override next(): ReturnType<SentinelIterator['next']> {
    this.#asked += 1;
    return super.next();
  }

  override reset(moveCurrentEndpointToFirst: boolean): void {
    super.reset(moveCurrentEndpointToFirst);
    this.#asked = 0;
  }

  override add(sentinel: SentinelAddress): boolean {
    const isNew = super.add(sentinel);
    if (isNew) this.#known += 1;
    return isNew;
  }

  /**
   * Skips the first Sentinel if it is next and not the only one. After the last one ioredis would report that no
   * Sentinel is reachable.
   */
  passOverFirst(): void {
    if (this.#asked === 0 && this.#known > 1) this.next();
  }
}

/**
 * ioredis begins with the Sentinel that named the last server, even if that server refuses the login or every write.
 * One Sentinel that was cut off with an old primary, or belongs to another cluster, would keep the process from the
 * primary that all others name.
 */
class SentinelsInTurn extends SentinelConnector {
  readonly #turn: Turn;
  readonly #sentinels: AskedSentinels;

  constructor(options: SentinelConnectionOptions, turn: Turn) {
    super(options);
    this.#turn = turn;
    this.#sentinels = new AskedSentinels(options.sentinels ?? []);
    this.sentinelIterator = this.#sentinels;
  }

  /**
   * Whether the server is a primary. After a failed check the next Sentinel is queried, as after any other closed
   * connection.
   */
  override check({ role }: { readonly role?: string }): boolean {
    return role === undefined || role === 'master';
  }

  override connect(...parameters: Parameters<Connector['connect']>): ReturnType<Connector['connect']> {
    if (this.#turn.isNext) this.#sentinels.passOverFirst();
    this.#turn.isNext = false;
    return super.connect(...parameters);
  }
}

/** Defaults of ioredis, which hands a connector its completed options as `unknown`. */
const DEFAULTS: SentinelConnectionOptions = {
  updateSentinels: true,
  sentinelMaxConnections: 10,
  sentinelReconnectStrategy: () => 60_000,
};

/** The connector class of one connection, with that connection's options and turn. */
function connectorOf(options: SentinelConnectionOptions, turn: Turn): NonNullable<RedisOptions['Connector']> {
  return class extends SentinelsInTurn {
    constructor() {
      super({ ...DEFAULTS, ...options }, turn);
    }
  };
}

/**
 * A connection to the primary that Sentinels name, which lasts until it is closed here. ioredis ends one permanently if
 * a Sentinel announces a failover at the moment when ioredis queries it for the primary: the announcement ends the new
 * connection, and no `retryStrategy` is consulted. The process would have no store until somebody restarts it.
 */
export class LastingRedis extends Redis {
  readonly #turn: Turn;
  #isClosed = false;

  constructor(options: ServerOptions) {
    const turn: Turn = { isNext: false };
    super({ Connector: connectorOf(options, turn), ...options });
    this.#turn = turn;
    this.on(
      'end',
      guardCallback('store', () => after(CONNECT_AGAIN_MS, this.#connectAgain)),
    );
  }

  /**
   * @param reconnect - `true`: only this connection ends, as ioredis does after an error, and the next Sentinel is
   * queried
   */
  override disconnect(reconnect = false): void {
    if (!reconnect) this.#isClosed = true;
    this.#turn.isNext = reconnect;
    super.disconnect(reconnect);
  }

  readonly #connectAgain = (): void => {
    if (this.#isClosed || this.status !== 'end') return;
    // ioredis emits the failure as `error` and the end as `end`.
    this.connect().catch(() => undefined);
  };
}
