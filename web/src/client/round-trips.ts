import { atMost } from '@plenary/cluster/deadline';
import { MAX_ROUND_TRIPS, type DatacenterId, type EdgeHint, type RoundTrip } from '@plenary/cluster/protocol';
import type { ClientLog } from './counters.ts';
import { normaliseEdgeUrl } from './edge-list.ts';
import type { ProbePort } from './probe-port.ts';
import { pageTimers } from './page-timers.ts';

/** Most datacenters that are measured, with one edge each. */
export const MAX_PROBES = 8;
/** How long a measurement stays valid, in milliseconds: distances rarely change. */
const FRESH_MS = 600_000;
/** An edge that needs longer is too far away to matter, in milliseconds. */
const PROBE_TIMEOUT_MS = 2_000;

export interface Probe {
  readonly datacenter: DatacenterId;
  readonly url: string;
}

/**
 * Selects one edge of each datacenter to measure. A URL that several datacenters share, for example behind one proxy, tells nothing about
 * any of them. With fewer than two datacenters there is nothing to compare, and the plan is empty.
 */
export function planProbes(hints: readonly EdgeHint[]): readonly Probe[] {
  const datacentersOf = new Map<string, Set<DatacenterId>>();
  for (const { datacenter, url } of hints) {
    const origin = normaliseEdgeUrl(url);
    datacentersOf.set(origin, (datacentersOf.get(origin) ?? new Set()).add(datacenter));
  }
  const urls = new Map<DatacenterId, string>();
  for (const [url, [datacenter, ...others]] of datacentersOf) {
    if (datacenter === undefined || others.length > 0 || urls.has(datacenter)) continue;
    urls.set(datacenter, url);
  }
  if (urls.size < 2) return [];
  return [...urls].slice(0, MAX_PROBES).map(([datacenter, url]) => ({ datacenter, url }));
}

/** Measures the round trip to each datacenter in the background and caches it. A join never depends on it. */
export class RoundTripMeter {
  readonly #port: ProbePort;
  readonly #log: ClientLog;
  readonly #addEdges: (urls: readonly string[]) => void;
  readonly #now: () => number;
  #measured = new Map<DatacenterId, number>();
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | undefined;

  /**
   * @param addEdges - receives the URLs of all edges: the first edge may refuse the connection by which it would announce the others
   *   (SPEC HL23)
   * @param now - a monotonic clock, in milliseconds
   */
  constructor(
    port: ProbePort,
    log: ClientLog,
    addEdges: (urls: readonly string[]) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#port = port;
    this.#addEdges = addEdges;
    this.#log = log;
    this.#now = now;
  }

  /** Begins to measure, unless a measurement is running or still valid. Never throws. */
  start(edgeUrl: string): void {
    if (this.#measuring !== undefined || this.#now() < this.#freshUntilMs) return;
    this.#measuring = this.#measure(edgeUrl).finally(() => {
      this.#measuring = undefined;
    });
  }

  /** Returns the known round trips, the nearest first. Waits up to `waitMs` for a running measurement. */
  async within(waitMs: number): Promise<readonly RoundTrip[]> {
    if (this.#measuring !== undefined) await atMost(pageTimers, waitMs, this.#measuring);
    return [...this.#measured]
      .map(([datacenter, roundTripMs]) => ({ datacenter, roundTripMs }))
      .sort((left, right) => left.roundTripMs - right.roundTripMs)
      .slice(0, MAX_ROUND_TRIPS);
  }

  async #measure(edgeUrl: string): Promise<void> {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    try {
      const hints = await this.#port.knownEdges(edgeUrl, signal);
      this.#addEdges(hints.map(({ url }) => url));
      const probes = planProbes(hints);
      this.#freshUntilMs = this.#now() + FRESH_MS;
      this.#measured = new Map();
      await Promise.all(probes.map((probe) => this.#probe(probe, signal)));
    } catch (thrown) {
      this.#log.warn('the edge did not list other edges', thrown);
    }
  }

  async #probe({ datacenter, url }: Probe, signal: AbortSignal): Promise<void> {
    try {
      this.#measured.set(datacenter, await this.#port.ping(url, signal));
    } catch (thrown) {
      this.#log.warn(`the datacenter ${datacenter} did not answer`, thrown);
    }
  }
}
