import { LRUCache } from 'lru-cache';
import { PlenaryError, toPlenaryError, every, inBackground } from '@plenary/cluster';
import type { DatacenterId, Logger, MediaNodeId, MediaNodeRecord, Registry } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';

/** Interval between readings of the registry, in milliseconds. */
export const REFRESH_MS = 5_000;
/** Shortest time between two readings for missing nodes, in milliseconds. */
const MIN_LOOKUP_INTERVAL_MS = 200;
/**
 * Maximum number of nodes whose datacenter is remembered: far more than exist, but a faulty writer of the registry
 * could invent more.
 */
const MAX_REMEMBERED = 4_096;

/** The live media nodes as read last. Lookups cost nothing and work while the store is unreachable. */
export class NodeDirectory {
  readonly #registry: Registry;
  readonly #metrics: NodeMetrics;
  readonly #logger: Logger;
  #records: ReadonlyMap<MediaNodeId, MediaNodeRecord> = new Map();
  /** The last known datacenter of each node, also after its lease lapsed while it still sends. */
  readonly #datacenters = new LRUCache<MediaNodeId, DatacenterId>({ max: MAX_REMEMBERED });
  #refreshing: Promise<void> | undefined;
  #lookup: Promise<void> | undefined;
  #refreshedAtMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(registry: Registry, metrics: NodeMetrics, logger: Logger) {
    this.#registry = registry;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  start(): void {
    this.#timer = every(REFRESH_MS, () => {
      inBackground(() => this.#refresh());
    });
    inBackground(() => this.#refresh());
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Returns a live node; a missing one is read from the registry first. @throws PlenaryError `media_unavailable` */
  async find(mediaNodeId: MediaNodeId): Promise<MediaNodeRecord> {
    if (!this.#records.has(mediaNodeId)) await this.#refreshForMissing();
    const record = this.#records.get(mediaNodeId);
    if (record === undefined) throw new PlenaryError('media_unavailable', `No living node ${mediaNodeId}.`);
    return record;
  }

  /**
   * Returns the last known datacenter of a node. @throws PlenaryError `media_unavailable` when the node was never
   * seen
   */
  async datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId> {
    return this.#datacenters.get(mediaNodeId) ?? (await this.find(mediaNodeId)).datacenter;
  }

  /** Reads the registry for a missing node. A request soon after the last reading waits rather than fails. */
  #refreshForMissing(): Promise<void> {
    this.#lookup ??= this.#refreshLater().finally(() => {
      this.#lookup = undefined;
    });
    return this.#lookup;
  }

  async #refreshLater(): Promise<void> {
    const waitMs = this.#refreshedAtMs + MIN_LOOKUP_INTERVAL_MS - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    await this.#refresh();
  }

  /** Reads the registry; while the store is unreachable, the last reading stays valid. Never rejects. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #read(): Promise<void> {
    try {
      const live = await this.#registry.liveMediaNodes();
      // An empty list may come from a store that was emptied by mistake, so links to nodes that answer are kept.
      if (live.length > 0) this.#records = new Map(live.map((record) => [record.mediaNodeId, record]));
      for (const { mediaNodeId, datacenter } of live) {
        this.#datacenters.set(mediaNodeId, datacenter);
      }
      this.#refreshedAtMs = performance.now();
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      this.#metrics.errors.inc({ where: 'directory', code: error.code });
      this.#logger.debug({ err: error }, 'registry not read; the last known media nodes stay in use');
    }
  }
}
