import type { Redis } from 'ioredis';
import { guardCallback, every, inBackground } from '../process/guarded-callbacks.ts';
import { SIGN_OF_LIFE_MS } from './client.ts';
import { CommandGate } from './command-gate.ts';
import { ConnectionLosses } from './connection-losses.ts';
import { LatePublications } from './late-publications.ts';
import { PublicationRights } from './publication-rights.ts';
import type { PubSubConnection, ReportStoreFault } from './pubsub-connection.ts';
import { ServerIdentity } from './server-identity.ts';
import { storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';
import { nobodysChannel, WantedChannels } from './wanted-channels.ts';

/** Sharded pub/sub over one server, the one of the connection for commands (SPEC HL50). */
export class ServerPubSub implements PubSubConnection {
  readonly #redis: Redis;
  readonly #gate = new CommandGate();
  readonly #late = new LatePublications();
  readonly #subscriptions: WantedChannels;
  readonly #identity: ServerIdentity;
  readonly #commands: ServerIdentity | undefined;
  readonly #life: NodeJS.Timeout;
  #connectionFault: unknown;
  readonly #losses = new ConnectionLosses();
  readonly #rights: PublicationRights;
  /** Whether the last check found fewer subscriptions than expected: one may still be in flight. */
  #isMissing = false;

  constructor(redis: Redis, onFault: ReportStoreFault, commands: ServerIdentity | undefined) {
    this.#redis = redis;
    this.#subscriptions = new WantedChannels(onFault);
    this.#rights = new PublicationRights(async (...publication) => redis.spublish(...publication));
    this.#identity = new ServerIdentity(redis);
    this.#commands = commands;
    this.#life = every(SIGN_OF_LIFE_MS, () => this.#check());
    redis.on(
      'error',
      guardCallback('store', (error: Error) => {
        this.#connectionFault = error;
      }),
    );
    redis.on(
      'close',
      guardCallback('store', () => {
        this.#losses.note(this.#connectionFault);
      }),
    );
    redis.on(
      'ready',
      guardCallback('store', () => {
        this.#connectionFault = undefined;
        this.#isMissing = false;
        this.#subscriptions.dropAll();
        this.#takeRest();
      }),
    );
  }

  async publish(channel: string, payload: string | Buffer): Promise<unknown> {
    if (this.#redis.status !== 'ready') throw new Error('The store is unreachable.');
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
    this.#redis.on('smessageBuffer', guardCallback('pubsub', listener));
  }

  trouble(): StoreTrouble | undefined {
    if (this.#redis.status !== 'ready') return storeTroubleOf(this.#connectionFault);
    return this.#losses.trouble ?? this.#rights.trouble ?? this.#subscriptions.trouble;
  }

  close(): void {
    clearInterval(this.#life);
    this.#redis.disconnect();
  }

  /** Pings the server, and checks whether it has every subscription. */
  async #check(): Promise<void> {
    if (this.#redis.status !== 'ready') return;
    if (this.#commands?.isElsewhere(this.#identity) === true) {
      this.#redis.disconnect(true);
      return;
    }
    this.#takeRest();
    inBackground(() => this.#rights.tryAgain());
    const [channel] = this.#subscriptions.expected;
    // An unanswered check only replaces the connection.
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
