import { after, entry } from '../process/entry.ts';
import { Redis, SentinelConnector, SentinelIterator } from 'ioredis';
import type { RedisOptions, SentinelAddress, SentinelConnectionOptions } from 'ioredis';

/** Replies are mapped as ioredis always did it. */
export type ServerOptions = RedisOptions & { readonly replyMapping?: 'legacy' };

/** How long after a connection was given up it is made anew, in milliseconds. */
const CONNECT_AGAIN_MS = 50;

type Connector = InstanceType<NonNullable<RedisOptions['Connector']>>;

/** Whether the Sentinel that was asked last is to be passed over. */
interface Turn {
  isNext: boolean;
}

type Sentinel = Partial<SentinelAddress>;

/** The Sentinels that ioredis knows, and how far it has asked them. */
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
   * Passes over the first one where it would be asked next and is not the only one. Past the last one ioredis would say that no Sentinel
   * can be reached.
   */
  passOverFirst(): void {
    if (this.#asked === 0 && this.#known > 1) this.next();
  }
}

/**
 * ioredis asks the Sentinel first by which it connected last, also where the server that this one named refuses the login or every write:
 * one Sentinel that was cut off with an old primary, or belongs to another cluster, would keep the process from what all others name.
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

  /** Whether it is a primary. The next Sentinel is asked as after any other server that was left. */
  override check({ role }: { readonly role?: string }): boolean {
    return role === undefined || role === 'master';
  }

  override connect(...parameters: Parameters<Connector['connect']>): ReturnType<Connector['connect']> {
    if (this.#turn.isNext) this.#sentinels.passOverFirst();
    this.#turn.isNext = false;
    return super.connect(...parameters);
  }
}

/** Defaults of ioredis: it hands a connector its completed options, as `unknown`. */
const DEFAULTS: SentinelConnectionOptions = {
  updateSentinels: true,
  sentinelMaxConnections: 10,
  sentinelReconnectStrategy: () => 60_000,
};

/** The kind of connector that a connection makes itself, with the options and the turn of that connection. */
function connectorOf(options: SentinelConnectionOptions, turn: Turn): NonNullable<RedisOptions['Connector']> {
  return class extends SentinelsInTurn {
    constructor() {
      super({ ...DEFAULTS, ...options }, turn);
    }
  };
}

/**
 * A connection that lasts until it is closed here, to the primary that Sentinels name. ioredis gives one up for good when a Sentinel tells
 * of a failover in the very moment in which it asks for the primary: what it was told on the connection before then ends the new one, whose
 * end no `retryStrategy` is asked about. The process would have no store until somebody starts it anew.
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
      entry('store', () => after(CONNECT_AGAIN_MS, this.#connectAgain)),
    );
  }

  /** @param reconnect - `true`: only this connection ends, as ioredis itself does after an error, and another Sentinel is asked */
  override disconnect(reconnect = false): void {
    if (!reconnect) this.#isClosed = true;
    this.#turn.isNext = reconnect;
    super.disconnect(reconnect);
  }

  readonly #connectAgain = (): void => {
    if (this.#isClosed || this.status !== 'end') return;
    // What it fails with is told as `error`, and its end as `end`.
    this.connect().catch(() => undefined);
  };
}
