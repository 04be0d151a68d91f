import { entry, every, inBackground } from '../process/entry.ts';
import type { Redis } from 'ioredis';
import { openCluster, openServer, SIGN_OF_LIFE_MS } from './client.ts';
import { CommandGate } from './command-gate.ts';
import { LatePublications } from './late-publications.ts';
import type { StoreAddress } from './store-address.ts';

/** A connection of its own for sharded pub/sub, as the Socket.IO adapter needs one to publish and one to subscribe. */
export interface PubSubConnection {
  /** @throws Error at once while the store is away, or when it does not answer in time */
  publish(channel: string, payload: string | Buffer): Promise<unknown>;
  /** Subscribes, and again after each outage, until `unsubscribe`. What fails on the way is reported, not thrown. */
  subscribe(channel: string): void;
  unsubscribe(channel: string): void;
  onMessage(listener: (channel: Buffer, message: Buffer) => void): void;
  close(): void;
}

type ReportFault = (fault: unknown) => void;
type ReportConnectionError = (error: Error) => void;

export function openPubSub(
  address: StoreAddress,
  connectionName: string,
  onFault: ReportFault,
  onConnectionError: ReportConnectionError,
): PubSubConnection {
  if (address.kind === 'cluster') {
    const cluster = openCluster(address, connectionName, { shardedSubscribers: true });
    cluster.on('error', entry('store', onConnectionError));
    cluster.on('node error', entry('store', onConnectionError));
    return new ClusterPubSub(cluster, onFault);
  }
  const redis = openServer(address, connectionName, { maxRetriesPerRequest: null });
  redis.on('error', entry('store', onConnectionError));
  return new ServerPubSub(redis, onFault);
}

class ServerPubSub implements PubSubConnection {
  readonly #redis: Redis;
  readonly #onFault: ReportFault;
  readonly #gate = new CommandGate();
  readonly #late = new LatePublications();
  readonly #wanted = new Set<string>();
  readonly #life: NodeJS.Timeout;

  constructor(redis: Redis, onFault: ReportFault) {
    this.#redis = redis;
    this.#onFault = onFault;
    this.#life = every(SIGN_OF_LIFE_MS, async () => {
      // One that is not answered has the connection made anew; nothing else follows from it.
      if (redis.status === 'ready') await redis.ping().catch(() => undefined);
    });
    redis.on(
      'ready',
      entry('store', () => {
        for (const channel of this.#wanted) redis.ssubscribe(channel).catch(entry('background', onFault));
      }),
    );
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    if (this.#redis.status !== 'ready') throw new Error('The store is away.');
    return this.#late.pass('', async () =>
      this.#gate.pass(async () => this.#redis.spublish(channel, payload)),
    );
  }

  subscribe(channel: string): void {
    this.#wanted.add(channel);
    if (this.#redis.status === 'ready')
      this.#redis.ssubscribe(channel).catch(entry('background', this.#onFault));
  }

  unsubscribe(channel: string): void {
    this.#wanted.delete(channel);
    if (this.#redis.status === 'ready')
      this.#redis.sunsubscribe(channel).catch(entry('background', this.#onFault));
  }

  onMessage(listener: (channel: Buffer, message: Buffer) => void): void {
    this.#redis.on('smessageBuffer', entry('pubsub', listener));
  }

  close(): void {
    clearInterval(this.#life);
    this.#redis.disconnect();
  }
}

/** By so many channels, chosen anew each time, every master is asked within a few seconds. */
const CHANNELS_ASKED = 32;

/** What is used of ioredis' cluster client. */
export interface ShardedClient {
  readonly status: string;
  spublish(channel: string, payload: string | Buffer): Promise<unknown>;
  ssubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
  nodes(role: 'master'): readonly { readonly status: string; ping(): Promise<unknown> }[];
  on(event: 'ready' | 'subscribersReady', listener: () => void): unknown;
  on(event: 'smessageBuffer', listener: (channel: Buffer, message: Buffer) => void): unknown;
  disconnect(): void;
}

/**
 * In a Redis Cluster a channel belongs to a slot as a key does. ioredis keeps a subscribing connection to each master and
 * follows what it has once taken on when slots or masters change; only what it could not take on, because it knew no
 * connection for the slot at that moment, is asked for again here.
 */
export class ClusterPubSub implements PubSubConnection {
  readonly #cluster: ShardedClient;
  readonly #onFault: ReportFault;
  readonly #gate = new CommandGate();
  readonly #late = new LatePublications();
  readonly #wanted = new Set<string>();
  readonly #takenOn = new Set<string>();
  readonly #life: NodeJS.Timeout;

  constructor(cluster: ShardedClient, onFault: ReportFault) {
    this.#cluster = cluster;
    this.#onFault = onFault;
    const askForRest = (): void => {
      for (const channel of this.#wanted) inBackground(() => this.#take(channel));
    };
    this.#life = every(SIGN_OF_LIFE_MS, () => this.#askForLife());
    cluster.on('ready', entry('store', askForRest));
    cluster.on('subscribersReady', entry('store', askForRest));
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    // Only what waits for the connection to a single master is queued; that is refused, or made, within the limit.
    if (this.#cluster.status !== 'ready') throw new Error('The store is away.');
    // Of one master that does not answer the channels of others know nothing.
    return this.#late.pass(channel, async () =>
      this.#gate.pass(async () => this.#cluster.spublish(channel, payload)),
    );
  }

  subscribe(channel: string): void {
    this.#wanted.add(channel);
    inBackground(() => this.#take(channel));
  }

  unsubscribe(channel: string): void {
    this.#wanted.delete(channel);
    if (!this.#takenOn.delete(channel)) return;
    inBackground(() => this.#release(channel));
  }

  onMessage(listener: (channel: Buffer, message: Buffer) => void): void {
    this.#cluster.on('smessageBuffer', entry('pubsub', listener));
  }

  close(): void {
    clearInterval(this.#life);
    this.#cluster.disconnect();
  }

  /**
   * Has every connection answer something: one that does not is made anew. ioredis hides those that subscribe, and sends what
   * concerns a channel over the one that has it; a channel that nobody has, in the slot of one that somebody has, is left.
   */
  async #askForLife(): Promise<void> {
    if (this.#cluster.status !== 'ready') return;
    const publishing = this.#cluster
      .nodes('master')
      .filter(({ status }) => status === 'ready')
      .map(async (master) => master.ping());
    const some = [...this.#takenOn].sort(() => Math.random() - 0.5).slice(0, CHANNELS_ASKED);
    const subscribing = some.map(async (channel) => this.#cluster.sunsubscribe(`{${channel}}:nobody`));
    await Promise.allSettled([...publishing, ...subscribing]);
  }

  async #take(channel: string): Promise<void> {
    if (this.#cluster.status !== 'ready' || this.#takenOn.has(channel)) return;
    this.#takenOn.add(channel);
    try {
      await this.#cluster.ssubscribe(channel);
    } catch (fault) {
      // These two it throws before it notes the channel; any other comes from the connection, and it subscribes again.
      const isUnknown = fault instanceof TypeError || (fault instanceof Error && fault.name === 'AbortError');
      if (isUnknown) this.#takenOn.delete(channel);
      this.#onFault(fault);
    }
  }

  async #release(channel: string): Promise<void> {
    try {
      await this.#cluster.sunsubscribe(channel);
    } catch (fault) {
      this.#onFault(fault);
    }
  }
}
