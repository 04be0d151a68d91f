import { inBackground } from '../process/guarded-callbacks.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { ConsulTrouble } from './consul-trouble.ts';
import { ConsulFault } from './consul-client.ts';
import type { ConsulClient, ServiceInstance } from './consul-client.ts';
import { SERVICE_KINDS } from './names.ts';
import type { ConsulNames, ServiceKind } from './names.ts';

/** How long a datacenter may be silent before it is lost, in milliseconds; a quiet one answers every 3 s. */
export const DATACENTER_SILENT_MS = 15_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1_000;
/** How often, and for how long, a datacenter is polled that holds queries for too long, in milliseconds. */
const POLL_EVERY_MS = 1_000;
const POLL_FOR_MS = 60_000;
/** How long a held query is remembered, in milliseconds: two within this time have the same cause. */
const REMEMBER_HELD_MS = 2 * POLL_FOR_MS;
/** The shortest time between two queries, in milliseconds: it bounds the rate if a datacenter always answers at once. */
const LEAST_GAP_MS = 20;

export interface DatacenterWatchSettings {
  readonly client: Pick<ConsulClient, 'serviceInstances'>;
  readonly names: ConsulNames;
  /** By Consul's name. */
  readonly datacenter: string;
  readonly clock: Clock;
  /** Called after every answer and every failure. */
  readonly onNews: () => void;
  readonly onFault: (fault: unknown) => void;
  /** Called when a waiting query was not answered in time but another one is: once, as long as this continues. */
  readonly onHeld: () => void;
}

/** Follows our services in one datacenter by blocking queries: a change arrives as soon as Consul has it. */
export class DatacenterWatch {
  readonly #settings: DatacenterWatchSettings;
  readonly #instances = new Map<ServiceKind, readonly ServiceInstance[]>();
  readonly #failing = new Map<ServiceKind, ConsulTrouble>();
  readonly #ending = new AbortController();
  #answeredAtMs: number;
  #pollUntilMs = Number.NEGATIVE_INFINITY;
  #heldAtMs = Number.NEGATIVE_INFINITY;

  constructor(settings: DatacenterWatchSettings) {
    this.#settings = settings;
    this.#answeredAtMs = settings.clock.monotonicMs();
    for (const kind of SERVICE_KINDS) inBackground(() => this.#follow(kind));
  }

  /** The services of the last answer, whether or not they are alive. */
  instances(kind: ServiceKind): readonly ServiceInstance[] {
    return this.#instances.get(kind) ?? [];
  }

  /** Whether every service was queried, with or without an answer. */
  get hasFirstAnswer(): boolean {
    return SERVICE_KINDS.every((kind) => this.#instances.has(kind) || this.#failing.has(kind));
  }

  /** Whether the last answers to all queries were successful. */
  get isAnswering(): boolean {
    return this.#failing.size === 0 && this.#instances.size === SERVICE_KINDS.length;
  }

  /** Why the last query failed. */
  get trouble(): ConsulTrouble | undefined {
    const [trouble] = this.#failing.values();
    return trouble;
  }

  /** Whether the datacenter is silent for so long that its last answer no longer counts. */
  get isLost(): boolean {
    return this.#settings.clock.monotonicMs() - this.#answeredAtMs > DATACENTER_SILENT_MS;
  }

  close(): void {
    this.#ending.abort();
  }

  /** Follows one service. Never rejects. */
  async #follow(kind: ServiceKind): Promise<void> {
    const { client, names, datacenter, clock, onNews, onFault } = this.#settings;
    const { signal } = this.#ending;
    let index = 0;
    let retryMs = FIRST_RETRY_MS;
    let wasHeld = false;
    while (!signal.aborted) {
      try {
        const query = { service: names.service(kind), dc: datacenter, index };
        const reading = await client.serviceInstances(query, signal);
        // An index that went back comes from a server that lost its state: query from the beginning.
        index = reading.index < index ? 0 : reading.index;
        if (wasHeld) this.#held();
        wasHeld = false;
        retryMs = FIRST_RETRY_MS;
        this.#instances.set(kind, reading.instances);
        this.#failing.delete(kind);
        this.#answeredAtMs = clock.monotonicMs();
      } catch (fault) {
        if (signal.aborted) return;
        // Consul answers a query without an index at once, unless it is unreachable.
        if (index > 0 && !wasHeld && troubleIn(fault) === 'no_answer') {
          wasHeld = true;
          index = 0;
          continue;
        }
        wasHeld = false;
        if (this.#failing.size === 0) onFault(fault);
        this.#failing.set(kind, troubleIn(fault));
        // Consul answers a query without an index at once: so its return is not noticed ten seconds late.
        index = 0;
        await pause(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
      }
      if (!signal.aborted) onNews();
      const isPolled = clock.monotonicMs() < this.#pollUntilMs;
      if (isPolled) index = 0;
      await pause(isPolled ? POLL_EVERY_MS : LEAST_GAP_MS, signal);
    }
  }

  /**
   * Handles a waiting query that was not answered in time while another one was: the connection was cut silently, or
   * Consul holds queries for too long. If this repeats, the watch polls for a while instead of waiting for changes.
   */
  #held(): void {
    const nowMs = this.#settings.clock.monotonicMs();
    const isAgain = nowMs - this.#heldAtMs < REMEMBER_HELD_MS;
    this.#heldAtMs = nowMs;
    if (isAgain) this.#pollUntilMs = nowMs + POLL_FOR_MS;
    else this.#settings.onHeld();
  }
}

const troubleIn = (fault: unknown): ConsulTrouble =>
  fault instanceof ConsulFault ? fault.trouble : 'failing';

/** Waits, or stops waiting when the signal is aborted. Never rejects. */
export async function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
}
