import { entry, every, inBackground } from '../process/entry.ts';
import type { Redis } from 'ioredis';
import { systemClock } from '../clock.ts';
import { openCluster, openServer, SIGN_OF_LIFE_MS } from './client.ts';
import { CommandGate } from './command-gate.ts';
import { LatePublications } from './late-publications.ts';
import { slotOf } from './key-slot.ts';
import { ServerIdentity } from './server-identity.ts';
import type { StoreAddress } from './store-address.ts';
import { isReplyError, troubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** A connection of its own for sharded pub/sub, as the Socket.IO adapter needs one to publish and one to subscribe. */
export interface PubSubConnection {
  /** @throws Error at once while the store is away, or when it does not answer in time */
  publish(channel: string, payload: string | Buffer): Promise<unknown>;
  /** Subscribes, and again after each outage, until `unsubscribe`. What fails on the way is reported, not thrown. */
  subscribe(channel: string): void;
  unsubscribe(channel: string): void;
  onMessage(listener: (channel: Buffer, message: Buffer) => void): void;
  /** Why nothing can be published or heard here now; `undefined` while all is well. */
  trouble(): StoreTrouble | undefined;
  close(): void;
}

type ReportFault = (fault: unknown) => void;
type ReportConnectionError = (error: Error) => void;

/** @param commands - the server that commands go to, which a connection to one server follows */
export function openPubSub(
  address: StoreAddress,
  connectionName: string,
  onFault: ReportFault,
  onConnectionError: ReportConnectionError,
  commands?: ServerIdentity,
): PubSubConnection {
  if (address.kind === 'cluster') {
    const cluster = openCluster(address, connectionName, { shardedSubscribers: true });
    cluster.on('error', entry('store', onConnectionError));
    cluster.on('node error', entry('store', onConnectionError));
    return new ClusterPubSub(cluster, onFault);
  }
  // ioredis lets a subscription that it makes again and that is refused reject where nobody catches it, which would end the process.
  const redis = openServer(address, connectionName, { maxRetriesPerRequest: null, autoResubscribe: false });
  redis.on('error', entry('store', onConnectionError));
  return new ServerPubSub(redis, onFault, commands);
}

/** A channel in the slot of another one that nobody has. To leave it changes nothing, and the answer counts what one has. */
const nobodysChannel = (channel: string): string => `{${channel}}:nobody`;

/**
 * What one connection was asked to hear. A subscription that Redis refuses, or has lost, is asked for again each second: a user may get
 * its channels back (SPEC HL13).
 */
class Subscriptions {
  readonly wanted = new Set<string>();
  /** What was asked for and not refused so far. */
  readonly taken = new Set<string>();
  /** What the connection is to have by now: without what is on its way, since Redis may still refuse that. */
  readonly #expected = new Set<string>();
  readonly #refused = new Map<string, StoreTrouble>();
  readonly #onFault: ReportFault;

  constructor(onFault: ReportFault) {
    this.#onFault = onFault;
  }

  get trouble(): StoreTrouble | undefined {
    return [...this.#refused.values()][0];
  }

  get expected(): ReadonlySet<string> {
    return this.#expected;
  }

  forget(channel: string): boolean {
    this.wanted.delete(channel);
    this.#refused.delete(channel);
    return this.drop(channel);
  }

  /** Has a channel asked for anew. @returns whether it was asked for before */
  drop(channel: string): boolean {
    this.#expected.delete(channel);
    return this.taken.delete(channel);
  }

  /** Has every channel asked for anew, on a new connection. */
  dropAll(): void {
    this.#expected.clear();
    this.taken.clear();
  }

  took(channel: string): void {
    this.#refused.delete(channel);
    // It may have been left since it was asked for.
    if (this.taken.has(channel)) this.#expected.add(channel);
  }

  /** Tells the first failure of each channel. @param isLost - whether it has to be asked for again; otherwise the client does that */
  failed(channel: string, fault: unknown, isLost: boolean): void {
    if (isLost) this.drop(channel);
    else if (this.taken.has(channel)) this.#expected.add(channel);
    const isKnown = this.#refused.has(channel);
    if (isReplyError(fault) && this.wanted.has(channel)) this.#refused.set(channel, troubleOf(fault));
    if (!isKnown) this.#onFault(fault);
  }
}

/** Why publications are refused, until one is taken: a quiet edge would publish nothing, and never find out that it may again. */
class PublicationRights {
  readonly #publish: (channel: string, payload: string | Buffer) => Promise<unknown>;
  #refusal: { readonly channel: string; readonly trouble: StoreTrouble } | undefined;

  constructor(publish: (channel: string, payload: string | Buffer) => Promise<unknown>) {
    this.#publish = publish;
  }

  get trouble(): StoreTrouble | undefined {
    return this.#refusal?.trouble;
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    try {
      const receivers = await this.#publish(channel, payload);
      this.#refusal = undefined;
      return receivers;
    } catch (fault) {
      if (isReplyError(fault)) this.#refusal = { channel, trouble: troubleOf(fault) };
      throw fault;
    }
  }

  /** Publishes where nobody listens. Never rejects. */
  async tryAgain(): Promise<void> {
    if (this.#refusal === undefined) return;
    const { channel, trouble } = this.#refusal;
    await this.#publish(`${channel}:nobody`, '').then(
      () => {
        this.#refusal = undefined;
      },
      (fault: unknown) => {
        this.#refusal = { channel, trouble: isReplyError(fault) ? troubleOf(fault) : trouble };
      },
    );
  }
}

/** Connections that ended: one that is made anew all the time may be open at each look, and serves nobody (SPEC HL52). */
class ConnectionLosses {
  /** What the last one ended with, and when. */
  #last: { readonly fault: unknown; readonly atMs: number } | undefined;

  note(fault: unknown): void {
    this.#last = { fault, atMs: systemClock.monotonicMs() };
  }

  /** Why the last one ended, while that is not long ago. */
  get trouble(): StoreTrouble | undefined {
    if (this.#last === undefined || systemClock.monotonicMs() - this.#last.atMs >= SIGN_OF_LIFE_MS)
      return undefined;
    return troubleOf(this.#last.fault);
  }
}

class ServerPubSub implements PubSubConnection {
  readonly #redis: Redis;
  readonly #gate = new CommandGate();
  readonly #late = new LatePublications();
  readonly #subscriptions: Subscriptions;
  readonly #identity: ServerIdentity;
  readonly #commands: ServerIdentity | undefined;
  readonly #life: NodeJS.Timeout;
  #connectionFault: unknown;
  readonly #losses = new ConnectionLosses();
  readonly #rights: PublicationRights;
  /** Whether the last look found fewer subscriptions than there are to be: one may be on its way. */
  #isMissing = false;

  constructor(redis: Redis, onFault: ReportFault, commands: ServerIdentity | undefined) {
    this.#redis = redis;
    this.#subscriptions = new Subscriptions(onFault);
    this.#rights = new PublicationRights(async (...publication) => redis.spublish(...publication));
    this.#identity = new ServerIdentity(redis);
    this.#commands = commands;
    this.#life = every(SIGN_OF_LIFE_MS, () => this.#look());
    redis.on(
      'error',
      entry('store', (error: Error) => {
        this.#connectionFault = error;
      }),
    );
    redis.on(
      'close',
      entry('store', () => {
        this.#losses.note(this.#connectionFault);
      }),
    );
    redis.on(
      'ready',
      entry('store', () => {
        this.#connectionFault = undefined;
        this.#isMissing = false;
        this.#subscriptions.dropAll();
        this.#takeRest();
      }),
    );
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    if (this.#redis.status !== 'ready') throw new Error('The store is away.');
    return this.#late.pass('', async () =>
      this.#gate.pass(async () => this.#rights.publish(channel, payload)),
    );
  }

  subscribe(channel: string): void {
    this.#subscriptions.wanted.add(channel);
    inBackground(() => this.#take(channel));
  }

  unsubscribe(channel: string): void {
    if (!this.#subscriptions.forget(channel) || this.#redis.status !== 'ready') return;
    inBackground(() =>
      this.#redis.sunsubscribe(channel).then(
        () => undefined,
        (fault: unknown) => this.#subscriptions.failed(channel, fault, true),
      ),
    );
  }

  onMessage(listener: (channel: Buffer, message: Buffer) => void): void {
    this.#redis.on('smessageBuffer', entry('pubsub', listener));
  }

  trouble(): StoreTrouble | undefined {
    if (this.#redis.status !== 'ready') return troubleOf(this.#connectionFault);
    return this.#losses.trouble ?? this.#rights.trouble ?? this.#subscriptions.trouble;
  }

  close(): void {
    clearInterval(this.#life);
    this.#redis.disconnect();
  }

  /** Asks for a sign of life, and whether what is to be heard can be. */
  async #look(): Promise<void> {
    if (this.#redis.status !== 'ready') return;
    if (this.#commands?.isElsewhere(this.#identity) === true) {
      this.#redis.disconnect(true);
      return;
    }
    this.#takeRest();
    inBackground(() => this.#rights.tryAgain());
    const [channel] = this.#subscriptions.expected;
    // What is not answered has the connection made anew; nothing else follows from it.
    if (channel === undefined) await this.#redis.ping().catch(() => undefined);
    else await this.#count(channel).catch(() => undefined);
  }

  async #count(channel: string): Promise<void> {
    const expected = this.#subscriptions.expected.size;
    const isMissing = Number(await this.#redis.sunsubscribe(nobodysChannel(channel))) < expected;
    if (isMissing && this.#isMissing) this.#redis.disconnect(true);
    this.#isMissing = isMissing;
  }

  #takeRest(): void {
    for (const channel of this.#subscriptions.wanted) inBackground(() => this.#take(channel));
  }

  async #take(channel: string): Promise<void> {
    const { taken } = this.#subscriptions;
    if (this.#redis.status !== 'ready' || taken.has(channel)) return;
    taken.add(channel);
    try {
      await this.#redis.ssubscribe(channel);
      this.#subscriptions.took(channel);
    } catch (fault) {
      this.#subscriptions.failed(channel, fault, true);
    }
  }
}

/** What is used of ioredis' cluster client. */
export interface ShardedClient {
  readonly status: string;
  /** The master of each slot first, where it is known. */
  readonly slots: readonly (readonly string[] | undefined)[];
  spublish(channel: string, payload: string | Buffer): Promise<unknown>;
  ssubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
  nodes(role: 'master'): readonly { readonly status: string; ping(): Promise<unknown> }[];
  on(event: 'ready' | 'subscribersReady', listener: () => void): unknown;
  on(event: 'nodeError', listener: (fault: Error) => void): unknown;
  /** A connection to a node has ended for good. */
  on(event: '-node', listener: (connection: EndedConnection) => void): unknown;
  on(event: 'smessageBuffer', listener: (channel: Buffer, message: Buffer) => void): unknown;
  disconnect(): void;
}

/** What is used of a connection that ended. */
export interface EndedConnection {
  readonly stream?: { readonly bytesRead: number } | undefined;
}

/**
 * In a Redis Cluster a channel belongs to a slot as a key does. ioredis keeps a subscribing connection to each master and
 * follows what it has once taken on when slots or masters change; only what it could not take on, because it knew no
 * connection for the slot at that moment, is asked for again here.
 */
export class ClusterPubSub implements PubSubConnection {
  readonly #cluster: ShardedClient;
  readonly #gate = new CommandGate();
  readonly #late = new LatePublications();
  readonly #subscriptions: Subscriptions;
  readonly #life: NodeJS.Timeout;
  readonly #rights: PublicationRights;
  /** Masters of which the last look found fewer subscriptions than there are to be: one may be on its way. */
  #missing: ReadonlySet<string> = new Set();
  #connectionFault: unknown;
  readonly #losses = new ConnectionLosses();

  constructor(cluster: ShardedClient, onFault: ReportFault) {
    this.#cluster = cluster;
    this.#subscriptions = new Subscriptions(onFault);
    this.#rights = new PublicationRights(async (...publication) => cluster.spublish(...publication));
    const takeRest = (): void => this.#takeRest();
    this.#life = every(SIGN_OF_LIFE_MS, () => this.#look());
    cluster.on('ready', entry('store', takeRest));
    cluster.on('subscribersReady', entry('store', takeRest));
    // So ioredis calls the faults of connections that subscribe.
    cluster.on(
      'nodeError',
      entry('store', (fault: Error) => {
        this.#connectionFault = fault;
      }),
    );
    cluster.on(
      '-node',
      entry('store', (connection: EndedConnection) => {
        // One to a master that is away, or hangs, never read anything: another watch tells of that, and others serve meanwhile.
        if ((connection.stream?.bytesRead ?? 0) > 0) this.#losses.note(this.#connectionFault);
        this.#connectionFault = undefined;
      }),
    );
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    // Only what waits for the connection to a single master is queued; that is refused, or made, within the limit.
    if (this.#cluster.status !== 'ready') throw new Error('The store is away.');
    // Of one master that does not answer the channels of others know nothing.
    return this.#late.pass(channel, async () =>
      this.#gate.pass(async () => this.#rights.publish(channel, payload)),
    );
  }

  subscribe(channel: string): void {
    this.#subscriptions.wanted.add(channel);
    inBackground(() => this.#take(channel));
  }

  unsubscribe(channel: string): void {
    if (!this.#subscriptions.forget(channel)) return;
    inBackground(() => this.#release(channel));
  }

  /**
   * Masters that are away are told of by another watch, and others serve meanwhile: only a lack of rights counts here, and connections
   * that masters end again and again.
   */
  trouble(): StoreTrouble | undefined {
    const loss = this.#losses.trouble;
    if (loss !== undefined) return loss;
    const trouble = this.#rights.trouble ?? this.#subscriptions.trouble;
    return trouble === 'access_denied' ? trouble : undefined;
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
   * concerns a channel over the one that has it; the answer says how many channels that one has. It says nothing of a
   * subscription that it could not make again.
   */
  async #look(): Promise<void> {
    if (this.#cluster.status !== 'ready') return;
    this.#takeRest();
    inBackground(() => this.#rights.tryAgain());
    const publishing = this.#cluster
      .nodes('master')
      .filter(({ status }) => status === 'ready')
      .map(async (master) => master.ping());
    const { taken, expected } = this.#subscriptions;
    const byMaster = new Map<string, { readonly any: string; readonly expected: string[] }>();
    for (const channel of taken) {
      const [master] = this.#cluster.slots[slotOf(channel)] ?? [];
      if (master === undefined) continue;
      const known = byMaster.get(master) ?? { any: channel, expected: [] };
      byMaster.set(master, known);
      if (expected.has(channel)) known.expected.push(channel);
    }
    const missing = new Set<string>();
    const subscribing = [...byMaster].map(async ([master, channels]) => {
      const count = Number(await this.#cluster.sunsubscribe(nobodysChannel(channels.any)));
      if (count < channels.expected.length) missing.add(master);
    });
    await Promise.allSettled([...publishing, ...subscribing]);
    const again = [...missing].filter((master) => this.#missing.has(master));
    this.#missing = missing;
    for (const channel of again.flatMap((master) => byMaster.get(master)?.expected ?? []))
      inBackground(() => this.#takeAgain(channel));
  }

  #takeRest(): void {
    for (const channel of this.#subscriptions.wanted) inBackground(() => this.#take(channel));
  }

  /** Has the client forget a channel that it believes to have, so that it does not note it twice. */
  async #takeAgain(channel: string): Promise<void> {
    if (!this.#subscriptions.drop(channel)) return;
    await this.#release(channel);
    if (this.#subscriptions.wanted.has(channel)) await this.#take(channel);
  }

  async #take(channel: string): Promise<void> {
    const { taken } = this.#subscriptions;
    if (this.#cluster.status !== 'ready' || taken.has(channel)) return;
    taken.add(channel);
    try {
      await this.#cluster.ssubscribe(channel);
      this.#subscriptions.took(channel);
    } catch (fault) {
      // These two it throws before it notes the channel, and what a master refuses is not asked for again by itself. Any other
      // fault comes from the connection, and it subscribes again.
      const isUnknown = fault instanceof TypeError || (fault instanceof Error && fault.name === 'AbortError');
      if (isReplyError(fault)) await this.#release(channel);
      this.#subscriptions.failed(channel, fault, isUnknown || isReplyError(fault));
    }
  }

  async #release(channel: string): Promise<void> {
    try {
      await this.#cluster.sunsubscribe(channel);
    } catch (fault) {
      this.#subscriptions.failed(channel, fault, false);
    }
  }
}
