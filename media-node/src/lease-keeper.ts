import { PlenaryError, toPlenaryError, after, inBackground } from '@plenary/cluster';
import type { AnnounceRefusal, Clock, Logger, MediaNodeRecord, Registry } from '@plenary/cluster';
import type { NodeMetrics } from './metrics.ts';

export interface LeaseKeeperOptions {
  readonly registry: Registry;
  /** The record as it is now. */
  readonly record: () => MediaNodeRecord;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** Whether nobody is hosted here. */
  readonly isEmpty: () => boolean;
  /**
   * The registry refuses the node, after {@link LeaseKeeper.start} had settled, and it must end: because it never held its
   * lease, or because another holds its id or ports now and nobody is left here (SPEC PS7, PS22).
   */
  readonly onRefused: (error: PlenaryError) => void;
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
  #stopped = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /**
   * Announces the node and goes on renewing. With the store away it settles at once, and the lease follows.
   * @throws PlenaryError `port_slice_overlap`, naming the other node; `id_taken` when the id's lease outlives one lease's
   *   time, so that it is no former life of this node
   */
  async start(): Promise<void> {
    for (;;) {
      await this.#announce();
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

  /** Announces now: the store is back. Settles when that was tried. */
  async renew(): Promise<void> {
    if (this.#stopped) return;
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  /** Takes the announcement back, so that nobody is sent here any more. Settles also when the store is away. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#renewing;
    const { registry, record, metrics, logger } = this.#options;
    const { mediaNodeId, incarnation } = record();
    this.#heldUntilMs = -Infinity;
    metrics.lease.set(0);
    try {
      await registry.withdrawMediaNode(mediaNodeId, incarnation);
    } catch (thrown) {
      metrics.errors.inc({ where: 'lease', code: toPlenaryError(thrown).code });
      logger.warn({ err: thrown }, 'the announcement could not be withdrawn; its lease will lapse');
    }
  }

  async #renew(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#announce();
    const fatal = this.#everHeld ? this.#superseded() : this.#fatal();
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
  async #announce(): Promise<void> {
    const { registry, record, leaseMs, clock, metrics, logger } = this.#options;
    // Counted from before the call: the store's own clock for it starts later.
    const askedAtMs = clock.monotonicMs();
    try {
      const result = await registry.announceMediaNode(record(), leaseMs);
      if (result.refused === null) {
        if (this.missing() !== undefined) logger.info({ leaseMs }, 'lease held');
        this.#heldUntilMs = askedAtMs + leaseMs;
        this.#everHeld = true;
        this.#refusal = undefined;
        this.#idTakenSinceMs = undefined;
      } else {
        if (this.#refusal?.refused !== result.refused) {
          logger.error({ refusal: describe(result) }, 'the registry refuses this node');
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
      logger.debug({ err: error }, 'the lease could not be renewed');
    }
    metrics.lease.set(this.missing() === undefined ? 1 : 0);
  }

  /** Whether another took the place of this node while it was away, and it has nobody to stay for. */
  #superseded(): PlenaryError | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined || !this.#options.isEmpty()) return undefined;
    return new PlenaryError(refusal.refused, describe(refusal));
  }

  /** Whether a refusal can no longer be the remains of this node's former life. */
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
