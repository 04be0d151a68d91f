/** A worker as the choice sees it. */
export interface WorkerView {
  readonly index: number;
  /** CPU over one core, 0 to 1. */
  readonly cpu: number;
  /** Peers that came to it so lately that its CPU does not show them yet. */
  readonly recentPeers: number;
  /** Peers of the room in question on it. */
  readonly roomPeers: number;
}

/** Peers of one room that stay on one worker before the room spreads. */
export const WORKER_PACKING_LIMIT = 50;
/** CPU from which a worker is not packed further. */
const MAX_PACKING_CPU = 0.7;
/** What a peer is taken to add to a worker's CPU until that is measured with it; afterwards it counts no second time. */
const ASSUMED_CPU_PER_PEER = 0.01;

/**
 * Chooses the worker for one more peer of a room: the fullest one of the room below the packing limit, so that a small
 * meeting needs no pipe; else the least loaded.
 */
export function selectWorker(
  workers: readonly WorkerView[],
  packingLimit = WORKER_PACKING_LIMIT,
): { readonly index: number; readonly reason: 'packed' | 'least_loaded' } | undefined {
  const packed = workers
    .filter(
      (worker) => worker.roomPeers > 0 && worker.roomPeers < packingLimit && worker.cpu < MAX_PACKING_CPU,
    )
    .sort((left, right) => right.roomPeers - left.roomPeers)[0];
  if (packed !== undefined) return { index: packed.index, reason: 'packed' };
  const loadOf = (worker: WorkerView): number => worker.cpu + worker.recentPeers * ASSUMED_CPU_PER_PEER;
  const least = [...workers].sort((left, right) => loadOf(left) - loadOf(right))[0];
  return least === undefined ? undefined : { index: least.index, reason: 'least_loaded' };
}
