import { LRUCache } from 'lru-cache';
import { PlenaryError, toPlenaryError, every, inBackground } from '@plenary/cluster';
import type { DatacenterId, Logger, MediaNodeId, MediaNodeRecord, Registry } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';

/** How old the view of the registry may grow, in milliseconds. */
export const REFRESH_MS = 5_000;
/** A node that is not in the view is looked for at most so often, in milliseconds. */
const MISS_MS = 200;
/** Datacenters of nodes that are remembered: far more than nodes come and go, and whoever writes into the registry makes up more. */
const MAX_REMEMBERED = 4_096;

/** The media nodes that live, as last read: reading it costs nothing, and it outlives the store's absence. */
export class NodeDirectory {
  readonly #registry: Registry;
  readonly #metrics: NodeMetrics;
  readonly #logger: Logger;
  #records: ReadonlyMap<MediaNodeId, MediaNodeRecord> = new Map();
  /** Where each node was last seen, also of those whose lease has lapsed while they still send. */
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

  /** A living node; one that is not known yet is looked for. @throws PlenaryError `media_unavailable` */
  async find(mediaNodeId: MediaNodeId): Promise<MediaNodeRecord> {
    if (!this.#records.has(mediaNodeId)) await this.#refreshForMissing();
    const record = this.#records.get(mediaNodeId);
    if (record === undefined) throw new PlenaryError('media_unavailable', `No living node ${mediaNodeId}.`);
    return record;
  }

  /** Where a node is, or was when it was last seen. @throws PlenaryError `media_unavailable` when it never was */
  async datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId> {
    return this.#datacenters.get(mediaNodeId) ?? (await this.find(mediaNodeId)).datacenter;
  }

  /** Reads anew for a node that is missing; who asks too soon after the last reading waits, rather than being sent away. */
  #refreshForMissing(): Promise<void> {
    this.#lookup ??= this.#refreshLater().finally(() => {
      this.#lookup = undefined;
    });
    return this.#lookup;
  }

  async #refreshLater(): Promise<void> {
    const waitMs = this.#refreshedAtMs + MISS_MS - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    await this.#refresh();
  }

  /** Never rejects: while the store is away the last view counts. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #read(): Promise<void> {
    try {
      const live = await this.#registry.liveMediaNodes();
      // An empty list is what a store says that was emptied by mistake: links to nodes that answer are kept.
      if (live.length > 0) this.#records = new Map(live.map((record) => [record.mediaNodeId, record]));
      for (const { mediaNodeId, datacenter } of live) {
        this.#datacenters.set(mediaNodeId, datacenter);
      }
      this.#refreshedAtMs = performance.now();
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      this.#metrics.errors.inc({ where: 'directory', code: error.code });
      this.#logger.debug({ err: error }, 'the registry could not be read; the last view counts');
    }
  }
}
