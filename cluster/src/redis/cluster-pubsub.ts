import { entry, every, inBackground } from '../process/entry.ts';
import { SIGN_OF_LIFE_MS } from './client.ts';
import { CommandGate } from './command-gate.ts';
import { ConnectionLosses } from './connection-losses.ts';
import { LatePublications } from './late-publications.ts';
import { PublicationRights } from './publication-rights.ts';
import type { PubSubConnection, ReportStoreFault } from './pubsub-connection.ts';
import { slotOf } from './key-slot.ts';
import { isReplyError } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';
import { nobodysChannel, WantedChannels } from './wanted-channels.ts';

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
  readonly #subscriptions: WantedChannels;
  readonly #life: NodeJS.Timeout;
  readonly #rights: PublicationRights;
  /** Masters where the last check found fewer subscriptions than expected: one may be on its way. */
  #missing: ReadonlySet<string> = new Set();
  #connectionFault: unknown;
  readonly #losses = new ConnectionLosses();

  constructor(cluster: ShardedClient, onFault: ReportStoreFault) {
    this.#cluster = cluster;
    this.#subscriptions = new WantedChannels(onFault);
    this.#rights = new PublicationRights(async (...publication) => cluster.spublish(...publication));
    const takeRest = (): void => this.#takeRest();
    this.#life = every(SIGN_OF_LIFE_MS, () => this.#check());
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
  async #check(): Promise<void> {
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
