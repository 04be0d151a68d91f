import { inBackground } from '../process/entry.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { ConsulTrouble } from './consul-trouble.ts';
import { ConsulFault } from './consul-client.ts';
import type { ConsulClient, ServiceInstance } from './consul-client.ts';
import { SERVICE_KINDS } from './names.ts';
import type { ConsulNames, ServiceKind } from './names.ts';

/** A datacenter that has not answered for this long is lost; a quiet one answers every 3 s. */
export const DATACENTER_SILENT_MS = 15_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1_000;

export interface DatacenterWatchSettings {
  readonly client: Pick<ConsulClient, 'serviceInstances'>;
  readonly names: ConsulNames;
  /** By Consul's name. */
  readonly datacenter: string;
  readonly clock: Clock;
  /** Called after every answer and every failure. */
  readonly onNews: () => void;
  readonly onFault: (fault: unknown) => void;
}

/** Follows our services in one datacenter by blocking queries: what changes there is here as soon as Consul has it. */
export class DatacenterWatch {
  readonly #settings: DatacenterWatchSettings;
  readonly #instances = new Map<ServiceKind, readonly ServiceInstance[]>();
  readonly #failing = new Map<ServiceKind, ConsulTrouble>();
  readonly #ending = new AbortController();
  #answeredAtMs: number;

  constructor(settings: DatacenterWatchSettings) {
    this.#settings = settings;
    this.#answeredAtMs = settings.clock.monotonicMs();
    for (const kind of SERVICE_KINDS) inBackground(() => this.#follow(kind));
  }

  /** The services as last told, and whether or not they are alive. */
  instances(kind: ServiceKind): readonly ServiceInstance[] {
    return this.#instances.get(kind) ?? [];
  }

  /** Whether every service was asked for, with or without an answer. */
  get isSettled(): boolean {
    return SERVICE_KINDS.every((kind) => this.#instances.has(kind) || this.#failing.has(kind));
  }

  /** Whether the last answers to all queries were good. */
  get isAnswering(): boolean {
    return this.#failing.size === 0 && this.#instances.size === SERVICE_KINDS.length;
  }

  /** Why the last answer to a query was no good one. */
  get trouble(): ConsulTrouble | undefined {
    const [trouble] = this.#failing.values();
    return trouble;
  }

  /** Whether it has been silent for so long that what it told last no longer counts. */
  get isLost(): boolean {
    return this.#settings.clock.monotonicMs() - this.#answeredAtMs > DATACENTER_SILENT_MS;
  }

  close(): void {
    this.#ending.abort();
  }

  /** Never rejects. */
  async #follow(kind: ServiceKind): Promise<void> {
    const { client, names, datacenter, clock, onNews, onFault } = this.#settings;
    const { signal } = this.#ending;
    let index = 0;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        const query = { service: names.service(kind), dc: datacenter, index };
        const reading = await client.serviceInstances(query, signal);
        // An index that went back is one of a server that has forgotten: ask anew.
        index = reading.index < index ? 0 : reading.index;
        retryMs = FIRST_RETRY_MS;
        this.#instances.set(kind, reading.instances);
        this.#failing.delete(kind);
        this.#answeredAtMs = clock.monotonicMs();
      } catch (fault) {
        if (signal.aborted) return;
        if (this.#failing.size === 0) onFault(fault);
        this.#failing.set(kind, fault instanceof ConsulFault ? fault.trouble : 'failing');
        // Asked without an index, Consul answers at once: so its return is not noticed ten seconds late.
        index = 0;
        await pause(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
      if (!signal.aborted) onNews();
    }
  }
}

/** Waits, or less when the signal comes. Never rejects. */
export async function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
}
