import { guardCallback, every, inBackground } from '../process/guarded-callbacks.ts';
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

/** The part of ioredis' cluster client that is used here. */
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
  /** A connection to a node has ended permanently. */
  on(event: '-node', listener: (connection: EndedConnection) => void): unknown;
  on(event: 'smessageBuffer', listener: (channel: Buffer, message: Buffer) => void): unknown;
  disconnect(): void;
}

/** The part of an ended connection that is used here. */
export interface EndedConnection {
  readonly stream?: { readonly bytesRead: number } | undefined;
}

/**
 * In a Redis Cluster a channel belongs to a slot as a key does. ioredis keeps a subscribing connection to each master,
 * and moves accepted subscriptions when slots or masters change. This class only repeats subscriptions that ioredis
 * could not accept, because it had no connection for the slot at that moment.
 */
export class ClusterPubSub implements PubSubConnection {
  readonly #cluster: ShardedClient;
  readonly #gate = new CommandGate();
  readonly #late = new LatePublications();
  readonly #subscriptions: WantedChannels;
  readonly #life: NodeJS.Timeout;
  readonly #rights: PublicationRights;
  /** Masters where the last check found fewer subscriptions than expected: one may still be in flight. */
  #missing: ReadonlySet<string> = new Set();
  #connectionFault: unknown;
  readonly #losses = new ConnectionLosses();

  constructor(cluster: ShardedClient, onFault: ReportStoreFault) {
    this.#cluster = cluster;
    this.#subscriptions = new WantedChannels(onFault);
    this.#rights = new PublicationRights(async (...publication) => cluster.spublish(...publication));
    const takeRest = (): void => this.#takeRest();
    this.#life = every(SIGN_OF_LIFE_MS, () => this.#check());
    cluster.on('ready', guardCallback('store', takeRest));
    cluster.on('subscribersReady', guardCallback('store', takeRest));
    // ioredis uses this name for faults of subscribing connections.
    cluster.on(
      'nodeError',
      guardCallback('store', (fault: Error) => {
        this.#connectionFault = fault;
      }),
    );
    cluster.on(
      '-node',
      guardCallback('store', (connection: EndedConnection) => {
        // A connection to a master that is down or hangs never read anything. Another watch reports that master, and
        // the others serve.
        if ((connection.stream?.bytesRead ?? 0) > 0) this.#losses.note(this.#connectionFault);
        this.#connectionFault = undefined;
      }),
    );
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    // Only commands that wait for the connection to a single master are queued; they are refused or sent within the
    // limit.
    if (this.#cluster.status !== 'ready') throw new Error('The store is unreachable.');
    // Channels on other masters are not affected by one that does not answer.
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
   * Another watch reports unreachable masters, and others serve meanwhile. Here only missing rights count, and
   * connections that masters close again and again.
   */
  trouble(): StoreTrouble | undefined {
    const loss = this.#losses.trouble;
    if (loss !== undefined) return loss;
    const trouble = this.#rights.trouble ?? this.#subscriptions.trouble;
    return trouble === 'access_denied' ? trouble : undefined;
  }

  onMessage(listener: (channel: Buffer, message: Buffer) => void): void {
    this.#cluster.on('smessageBuffer', guardCallback('pubsub', listener));
  }

  close(): void {
    clearInterval(this.#life);
    this.#cluster.disconnect();
  }

  /**
   * Checks that every connection answers; one that does not is replaced. ioredis hides subscribing connections, but
   * sends a channel's commands over the connection that has it. The answer gives the number of channels on that
   * connection; it does not name a subscription that ioredis could not repeat.
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

  /** Makes the client forget a channel that it believes to have, so that it does not count it twice. */
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
      // ioredis throws these two before it notes the channel, and does not retry what a master refuses. Any other fault
      // comes from the connection, after which ioredis subscribes again.
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
