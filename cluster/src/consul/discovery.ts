import { after, inBackground } from '../process/guarded-callbacks.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { ConsulFault } from './consul-client.ts';
import type { ConsulHealth } from './consul-health.ts';
import type { ConsulTrouble } from './consul-trouble.ts';
import type { ConsulClient, ServiceInstance } from './consul-client.ts';
import { DatacenterWatch, pause } from './datacenter-watch.ts';
import type { ConsulNames, ServiceKind } from './names.ts';

/** How often the local agent is queried for its datacenters, in milliseconds; this also detects an agent that hangs. */
const DATACENTERS_EVERY_MS = 1_000;
/** How long a reader waits for the first answers after the start, in milliseconds. */
const FIRST_ANSWERS_MS = 2_000;

export interface DiscoverySettings {
  readonly client: ConsulClient;
  readonly names: ConsulNames;
  readonly clock: Clock;
  /** Receives whether the local agent, and its datacenter's servers, answer. */
  readonly health: ConsulHealth;
  /** Whether Consul's answers lack a service that this process is known to have announced, so that they cannot be complete. */
  readonly isBlind: () => boolean;
  /** Called once for each loss of another datacenter. */
  readonly onFault: (fault: unknown, datacenter: string) => void;
  /** Called once for a datacenter that lets a query time out but answers another one. */
  readonly onHeld: (datacenter: string) => void;
}

/** Our services in all WAN-joined datacenters, as Consul reports them. */
export class Discovery {
  readonly #settings: DiscoverySettings;
  readonly #watches = new Map<string, DatacenterWatch>();
  readonly #ending = new AbortController();
  readonly #waiting = new Set<() => void>();
  #own: string | undefined;
  /** `undefined` until the first answer, `null` while the agent answers, otherwise the reason why it does not. */
  #agentTrouble: ConsulTrouble | null | undefined;
  /** Whether the own datacenter's servers let requests wait for a leader, so that they are not answered in time. */
  #isLeaderless = false;

  constructor(settings: DiscoverySettings) {
    this.#settings = settings;
    inBackground(() => this.#followDatacenters());
  }

  /** The other datacenters that answer. */
  otherDatacenters(): readonly string[] {
    return [...this.#watches]
      .filter(([name, watch]) => name !== this.#own && watch.isAnswering)
      .map(([name]) => name);
  }

  /**
   * The instances of a service in every datacenter that is not lost, alive or not.
   * @throws PlenaryError `store_unavailable` while the local agent, or its servers, do not answer
   */
  async instances(kind: ServiceKind): Promise<readonly ServiceInstance[]> {
    await this.until(() => this.#haveAllAnswered(), FIRST_ANSWERS_MS);
    if (this.#settings.isBlind()) this.#judge();
    if (!this.#settings.health.isAvailable())
      throw new PlenaryError('store_unavailable', 'Consul is unreachable.');
    return [...this.#watches]
      .filter(([name, watch]) => name === this.#own || !watch.isLost)
      .flatMap(([, watch]) => watch.instances(kind));
  }

  /** An instance in the own datacenter, as the servers know it. */
  ownInstance(kind: ServiceKind, id: string): ServiceInstance | undefined {
    const own = this.#own === undefined ? undefined : this.#watches.get(this.#own);
    return own?.instances(kind).find((instance) => instance.id === id);
  }

  /** Waits until a condition on the known services holds. @returns false if it did not within the time */
  async until(condition: () => boolean, withinMs: number): Promise<boolean> {
    if (condition()) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const look = (): void => {
      if (condition()) resolve(true);
    };
    const timer = after(withinMs, () => {
      resolve(condition());
    });
    this.#waiting.add(look);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  close(): void {
    this.#ending.abort();
    for (const watch of this.#watches.values()) watch.close();
    this.#settings.health.close();
  }

  #haveAllAnswered(): boolean {
    return (
      (this.#agentTrouble !== undefined && this.#agentTrouble !== null) ||
      (this.#watches.size > 0 && [...this.#watches.values()].every((watch) => watch.hasFirstAnswer))
    );
  }

  /** Follows the list of datacenters. Never rejects. */
  async #followDatacenters(): Promise<void> {
    const { client } = this.#settings;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        this.#own ??= await client.datacenter();
        this.#reconcile(await client.datacenters());
        this.#agentTrouble = null;
      } catch (fault) {
        this.#agentTrouble = fault instanceof ConsulFault ? fault.trouble : 'failing';
        if (this.#agentTrouble === 'no_answer') client.reconnect();
      }
      if (signal.aborted) return;
      this.#judge();
      await pause(DATACENTERS_EVERY_MS, signal);
    }
  }

  /** Follows each listed datacenter; one that is no longer listed is dropped after it has been silent for long. */
  #reconcile(listed: readonly string[]): void {
    if (this.#ending.signal.aborted) return;
    const { client, names, clock, onFault, onHeld } = this.#settings;
    for (const datacenter of listed) {
      if (this.#watches.has(datacenter)) continue;
      const watch: DatacenterWatch = new DatacenterWatch({
        client,
        names,
        datacenter,
        clock,
        onNews: () => {
          inBackground(() => this.#judgeNews(datacenter, watch));
        },
        onFault: (fault) => {
          if (datacenter !== this.#own) onFault(fault, datacenter);
        },
        onHeld: () => onHeld(datacenter),
      });
      this.#watches.set(datacenter, watch);
    }
    for (const [datacenter, watch] of this.#watches) {
      if (listed.includes(datacenter) || !watch.isLost) continue;
      watch.close();
      this.#watches.delete(datacenter);
    }
  }

  /**
   * Judges an answer or a failure. Never rejects. Servers without a leader let a request wait for one longer than
   * this process waits.
   */
  async #judgeNews(datacenter: string, watch: DatacenterWatch): Promise<void> {
    if (datacenter === this.#own) {
      const { client } = this.#settings;
      // A new leader answers soon; until then its absence was the cause.
      if (watch.trouble !== 'no_answer') this.#isLeaderless = false;
      else if (!this.#isLeaderless) this.#isLeaderless = !(await client.hasLeader().catch(() => true));
    }
    if (!this.#ending.signal.aborted) this.#judge();
  }

  #judge(): void {
    const own = this.#own === undefined ? undefined : this.#watches.get(this.#own);
    const trouble = this.#agentTrouble ?? (this.#isLeaderless ? 'no_leader' : own?.trouble);
    // Before the first answers there is nothing to report.
    if (trouble === undefined && own?.isAnswering !== true) return;
    this.#settings.health.noteRead(trouble ?? (this.#settings.isBlind() ? 'access_denied' : undefined));
    for (const look of this.#waiting) look();
  }
}
