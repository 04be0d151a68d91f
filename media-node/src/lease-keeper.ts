import { PlenaryError, toPlenaryError, after, inBackground } from '@plenary/cluster';
import type {
  AnnounceRefusal,
  Clock,
  Incarnation,
  Logger,
  MediaNodeId,
  MediaNodeRecord,
  Registry,
} from '@plenary/cluster';
import type { NodeMetrics } from './metrics.ts';

export interface LeaseKeeperOptions {
  readonly registry: Registry;
  readonly mediaNodeId: MediaNodeId;
  readonly incarnation: Incarnation;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /**
   * The registry refuses the node, after {@link LeaseKeeper.start} had settled, and it must end: because it never held its
   * lease, or because another holds its id or ports now and nobody is left here (SPEC PS7, PS22).
   */
  readonly onRefused: (error: PlenaryError) => void;
}

/** The node that a lease announces. */
export interface AnnouncedNode {
  /** The record as it is now. */
  record(): MediaNodeRecord;
  /** Whether it hosts no peer. */
  isEmpty(): boolean;
}

/**
 * Keeps the node announced. Whether the lease is held is judged by this process' own monotonic clock, since a node that
 * cannot reach the store must know by itself that it takes nobody new (SPEC RG6).
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #heldUntilMs = -Infinity;
  #everHeld = false;
  #refusal: AnnounceRefusal | undefined;
  #idTakenSinceMs: number | undefined;
  #renewing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Absent until the lease is started. */
  #node: AnnouncedNode | undefined;
  #stopped = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /**
   * Announces the node and goes on renewing. With the store away it settles at once, and the lease follows.
   * @throws PlenaryError `port_slice_overlap`, naming the other node; `id_taken` when the id's lease outlives one lease's
   *   time, so that it is no previous life of this node
   */
  async start(node: AnnouncedNode): Promise<void> {
    this.#node = node;
    for (;;) {
      await this.#announce(node);
      const fatal = this.#fatal();
      if (fatal !== undefined) {
        this.#stopped = true;
        throw fatal;
      }
      if (this.#refusal === undefined) break;
      await new Promise((resolve) => setTimeout(resolve, this.#options.leaseMs / 3));
    }
    this.#renewLater();
  }

  /** Why the lease is not held, or `undefined` when it is. */
  missing(): string | undefined {
    if (this.#options.clock.monotonicMs() < this.#heldUntilMs) return undefined;
    if (this.#refusal !== undefined) return `lease_refused: ${describe(this.#refusal)}`;
    return this.#everHeld ? 'lease_lapsed' : 'lease_pending';
  }

  /** Announces now: the record has changed, or the store is back. Settles when that was tried; nothing happens before the start. */
  async renew(): Promise<void> {
    const node = this.#node;
    if (this.#stopped || node === undefined) return;
    this.#renewing ??= this.#renew(node).finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  /** Takes the announcement back, so that nobody is sent here any more. Settles also when the store is away. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#renewing;
    const { registry, mediaNodeId, incarnation, metrics, logger } = this.#options;
    this.#heldUntilMs = -Infinity;
    metrics.lease.set(0);
    try {
      await registry.withdrawMediaNode(mediaNodeId, incarnation);
    } catch (thrown) {
      metrics.errors.inc({ where: 'lease', code: toPlenaryError(thrown).code });
      logger.warn({ err: thrown }, 'media node not withdrawn from the registry; its lease will lapse');
    }
  }

  async #renew(node: AnnouncedNode): Promise<void> {
    clearTimeout(this.#timer);
    await this.#announce(node);
    const fatal = this.#everHeld ? this.#superseded(node) : this.#fatal();
    if (fatal === undefined) this.#renewLater();
    else this.#options.onRefused(fatal);
  }

  #renewLater(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = after(this.#options.leaseMs / 3, () => {
      inBackground(() => this.renew());
    });
  }

  /** Tries once. Never rejects: a store that does not answer is what leases are for. */
  async #announce(node: AnnouncedNode): Promise<void> {
    const { registry, leaseMs, clock, metrics, logger } = this.#options;
    // Counted from before the call: the store's own clock for it starts later.
    const askedAtMs = clock.monotonicMs();
    try {
      const result = await registry.announceMediaNode(node.record(), leaseMs);
      if (result.refused === null) {
        if (this.missing() !== undefined) logger.info({ leaseMs }, 'registry lease held');
        this.#heldUntilMs = askedAtMs + leaseMs;
        this.#everHeld = true;
        this.#refusal = undefined;
        this.#idTakenSinceMs = undefined;
      } else {
        if (this.#refusal?.refused !== result.refused) {
          logger.error(
            { refusal: describe(result) },
            'registry refuses this media node; it takes no new peers',
          );
        }
        metrics.errors.inc({ where: 'lease', code: result.refused });
        this.#refusal = result;
        // The store knows better than this clock: somebody else has what this node held.
        this.#heldUntilMs = -Infinity;
        if (result.refused === 'id_taken') this.#idTakenSinceMs ??= clock.monotonicMs();
      }
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      metrics.errors.inc({ where: 'lease', code: error.code });
      logger.debug({ err: error }, 'registry lease not renewed; trying again');
    }
    metrics.lease.set(this.missing() === undefined ? 1 : 0);
  }

  /** Whether another took the place of this node while it was away, and it has nobody to stay for. */
  #superseded(node: AnnouncedNode): PlenaryError | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined || !node.isEmpty()) return undefined;
    return new PlenaryError(refusal.refused, describe(refusal));
  }

  /** Whether a refusal can no longer be the remains of this node's previous life. */
  #fatal(): PlenaryError | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined) return undefined;
    if (refusal.refused === 'port_slice_overlap') {
      return new PlenaryError('port_slice_overlap', describe(refusal));
    }
    const { clock, leaseMs } = this.#options;
    const waitedMs = clock.monotonicMs() - (this.#idTakenSinceMs ?? clock.monotonicMs());
    // A third more than the lease, since the last look comes a third after the one before.
    return waitedMs > leaseMs * (4 / 3) ? new PlenaryError('id_taken', describe(refusal)) : undefined;
  }
}

function describe(refusal: AnnounceRefusal): string {
  switch (refusal.refused) {
    case 'id_taken':
      return 'another living media node has this PLENARY_ID';
    case 'port_slice_overlap': {
      const { firstPort, lastPort } = refusal.portSlice;
      return `media node ${refusal.by} owns ports ${firstPort}-${lastPort} under the same announced address`;
    }
  }
}
