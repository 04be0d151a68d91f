/** The facts about a worker that the choice uses. */
export interface WorkerFacts {
  readonly index: number;
  /** CPU share of one core, 0 to 1. */
  readonly cpu: number;
  /** Peers that joined so recently that the CPU does not show them yet. */
  readonly recentPeers: number;
  /** Peers of the room on this worker. */
  readonly roomPeers: number;
}

/** Maximum number of peers of one room on one worker before the room spreads. */
export const WORKER_PACKING_LIMIT = 50;
/** CPU share above which no more peers are packed onto a worker. */
const MAX_PACKING_CPU = 0.7;
/** CPU share that a peer is assumed to add until the measured CPU includes it; afterwards it does not count twice. */
const ASSUMED_CPU_PER_PEER = 0.01;

/**
 * Chooses the worker for one more peer of a room: the room's fullest worker below the packing limit, so that a small
 * meeting needs no pipe; otherwise the least loaded.
 */
export function selectWorker(
  workers: readonly WorkerFacts[],
  packingLimit = WORKER_PACKING_LIMIT,
): { readonly index: number; readonly reason: 'packed' | 'least_loaded' } | undefined {
  const packed = workers
    .filter(
      (worker) => worker.roomPeers > 0 && worker.roomPeers < packingLimit && worker.cpu < MAX_PACKING_CPU,
    )
    .sort((left, right) => right.roomPeers - left.roomPeers)[0];
  if (packed !== undefined) return { index: packed.index, reason: 'packed' };
  const loadOf = (worker: WorkerFacts): number => worker.cpu + worker.recentPeers * ASSUMED_CPU_PER_PEER;
  const least = [...workers].sort((left, right) => loadOf(left) - loadOf(right))[0];
  return least === undefined ? undefined : { index: least.index, reason: 'least_loaded' };
}
