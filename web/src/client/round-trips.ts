import { atMost } from '@plenary/cluster/deadline';
import { MAX_ROUND_TRIPS, type DatacenterId, type EdgeHint, type RoundTrip } from '@plenary/cluster/protocol';
import type { ClientLog } from './counters.ts';
import { normaliseEdgeUrl } from './edge-list.ts';
import type { ProbePort } from './probe-port.ts';
import { pageTimers } from './page-timers.ts';

/** Datacenters that are measured, at most: one edge of each. */
export const MAX_PROBES = 8;
/** A measurement is good for this long, in milliseconds: distances do not change while one sits still. */
const FRESH_MS = 600_000;
/** What has not answered within this is too far away to matter, in milliseconds. */
const PROBE_TIMEOUT_MS = 2_000;

export interface Probe {
  readonly datacenter: DatacenterId;
  readonly url: string;
}

/**
 * Which edges to ask so as to learn how far each datacenter is: one of each. A URL that several datacenters share, as
 * behind one proxy, says nothing of any of them. With fewer than two to compare there is nothing to learn.
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

/** How far each datacenter is, measured beside everything else and remembered. Nothing here is a condition of joining. */
export class RoundTripMeter {
  readonly #port: ProbePort;
  readonly #log: ClientLog;
  readonly #edgesKnown: (urls: readonly string[]) => void;
  readonly #now: () => number;
  #measured = new Map<DatacenterId, number>();
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | undefined;

  /**
   * @param edgesKnown - told of the edges that there are: the first one may be of no use, and refuse the connection over which the
   *   others are told (SPEC HL23)
   * @param now - milliseconds of a clock that never jumps
   */
  constructor(
    port: ProbePort,
    log: ClientLog,
    edgesKnown: (urls: readonly string[]) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#port = port;
    this.#edgesKnown = edgesKnown;
    this.#log = log;
    this.#now = now;
  }

  /** Begins to measure, unless that is under way or was done lately. Never throws. */
  start(edgeUrl: string): void {
    if (this.#measuring !== undefined || this.#now() < this.#freshUntilMs) return;
    this.#measuring = this.#measure(edgeUrl).finally(() => {
      this.#measuring = undefined;
    });
  }

  /** What is known, the nearest first, after waiting for a measurement under way for `waitMs` at most. */
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
      this.#edgesKnown(hints.map(({ url }) => url));
      const probes = planProbes(hints);
      this.#freshUntilMs = this.#now() + FRESH_MS;
      this.#measured = new Map();
      await Promise.all(probes.map((probe) => this.#probe(probe, signal)));
    } catch (thrown) {
      this.#log.warn('the edge did not tell of other edges', thrown);
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
