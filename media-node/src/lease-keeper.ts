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
   * The registry refuses the node after {@link LeaseKeeper.start} resolved, and the node must stop: it never held its
   * lease, or another node holds its id or ports and no peer is left here (SPEC PS7, PS22).
   */
  readonly onRefused: (error: PlenaryError) => void;
}

/** The node that a lease announces. */
export interface AnnouncedNode {
  /** The current record. */
  record(): MediaNodeRecord;
  /** Whether it hosts no peer. */
  isEmpty(): boolean;
}

/**
 * Keeps the node announced in the registry. This process' own monotonic clock decides whether the lease is held: a
 * node that cannot reach the store must itself know that it admits no new peers (SPEC RG6).
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #heldUntilMs = -Infinity;
  #everHeld = false;
  #refusal: AnnounceRefusal | undefined;
  #idTakenSinceMs: number | undefined;
  #renewing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Absent before the start. */
  #node: AnnouncedNode | undefined;
  #stopped = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /**
   * Announces the node and keeps renewing the lease. While the store is unreachable it resolves at once, and the
   * lease follows later.
   * @throws PlenaryError `port_slice_overlap`, naming the other node; `id_taken` when the id stays leased for longer
   *   than one lease, so that its holder is no earlier incarnation of this node
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
    this.#scheduleRenewal();
  }

  /** Returns why the lease is not held, or `undefined` when it is. */
  missing(): string | undefined {
    if (this.#options.clock.monotonicMs() < this.#heldUntilMs) return undefined;
    if (this.#refusal !== undefined) return `lease_refused: ${describe(this.#refusal)}`;
    return this.#everHeld ? 'lease_lapsed' : 'lease_pending';
  }

  /**
   * Announces at once, because the record changed or the store answers again. Resolves after the attempt; does
   * nothing before the start.
   */
  async renew(): Promise<void> {
    const node = this.#node;
    if (this.#stopped || node === undefined) return;
    this.#renewing ??= this.#renew(node).finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  /**
   * Withdraws the node from the registry, so that no peers are placed here. Resolves even if the store is
   * unreachable.
   */
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
    if (fatal === undefined) this.#scheduleRenewal();
    else this.#options.onRefused(fatal);
  }

  #scheduleRenewal(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = after(this.#options.leaseMs / 3, () => {
      inBackground(() => this.renew());
    });
  }

  /** Announces once. Never rejects: leases exist for stores that may not answer. */
  async #announce(node: AnnouncedNode): Promise<void> {
    const { registry, leaseMs, clock, metrics, logger } = this.#options;
    // The lease counts from before the call: the store's clock for it starts later.
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
        // The store knows better than this clock: another node holds what this node held.
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

  /** Returns a refusal if another node replaced this one while it was disconnected and no peer is left here. */
  #superseded(node: AnnouncedNode): PlenaryError | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined || !node.isEmpty()) return undefined;
    return new PlenaryError(refusal.refused, describe(refusal));
  }

  /** Returns a refusal that an earlier incarnation of this node cannot explain any more. */
  #fatal(): PlenaryError | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined) return undefined;
    if (refusal.refused === 'port_slice_overlap') {
      return new PlenaryError('port_slice_overlap', describe(refusal));
    }
    const { clock, leaseMs } = this.#options;
    const waitedMs = clock.monotonicMs() - (this.#idTakenSinceMs ?? clock.monotonicMs());
    // A third more than the lease, since attempts are a third of a lease apart.
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
