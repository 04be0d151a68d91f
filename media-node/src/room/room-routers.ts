import { PlenaryError } from '@plenary/cluster';
import type { RouterId } from '@plenary/cluster';
import type { RoomRouter, Workers } from '../engine/engine.ts';

/** A router for as long as its holder needs it. */
export interface RouterLease {
  readonly router: RoomRouter;
  /** May be called again without effect. */
  release(): void;
}

interface Entry {
  readonly workerIndex: number;
  readonly opening: Promise<RoomRouter>;
  router: RoomRouter | undefined;
  holders: number;
}

/** The routers of one room: made when first needed, one per worker, and freed with their last holder. */
export class RoomRouters {
  readonly #pool: Workers;
  readonly #onEmpty: () => void;
  readonly #onRouterGone: (routerId: RouterId) => void;
  readonly #entries = new Map<number, Entry>();

  /** @param onEmpty - called when the last router is freed */
  constructor(pool: Workers, onEmpty: () => void, onRouterGone: (routerId: RouterId) => void) {
    this.#pool = pool;
    this.#onEmpty = onEmpty;
    this.#onRouterGone = onRouterGone;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** The room's router on a worker, made if it has none there. @throws PlenaryError `media_lost` */
  async acquire(workerIndex: number): Promise<RouterLease> {
    // A creation in flight is stored as its promise, so that two joins at once make one router.
    const entry = this.#entries.get(workerIndex) ?? this.#open(workerIndex);
    entry.holders += 1;
    try {
      return this.#lease(entry, await entry.opening);
    } catch (error) {
      this.#release(entry);
      throw error;
    }
  }

  /** A router that exists already. @throws PlenaryError `track_not_found` when the room has no such router */
  async acquireExisting(routerId: RouterId): Promise<RouterLease> {
    for (const entry of this.#entries.values()) {
      if (entry.router?.id === routerId) return this.acquire(entry.workerIndex);
    }
    throw new PlenaryError('track_not_found', 'Its router is gone.');
  }

  /** Forgets the router of a worker that died; leases on it are released without effect. */
  workerDied(workerIndex: number): void {
    const entry = this.#entries.get(workerIndex);
    if (entry !== undefined) this.#remove(entry);
  }

  #open(workerIndex: number): Entry {
    const worker = this.#pool.worker(workerIndex);
    const opening =
      worker === undefined ? Promise.reject(new PlenaryError('media_lost')) : worker.createRouter();
    const entry: Entry = { workerIndex, opening: opening.then(keep), router: undefined, holders: 0 };
    function keep(router: RoomRouter): RoomRouter {
      entry.router = router;
      return router;
    }
    this.#entries.set(workerIndex, entry);
    return entry;
  }

  #lease(entry: Entry, router: RoomRouter): RouterLease {
    let released = false;
    return {
      router,
      release: () => {
        if (released) return;
        released = true;
        this.#release(entry);
      },
    };
  }

  #release(entry: Entry): void {
    entry.holders -= 1;
    if (entry.holders === 0) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    if (this.#entries.get(entry.workerIndex) !== entry) {
      entry.router?.close();
      return;
    }
    this.#entries.delete(entry.workerIndex);
    if (entry.router !== undefined) {
      entry.router.close();
      this.#onRouterGone(entry.router.id);
    }
    if (this.#entries.size === 0) this.#onEmpty();
  }
}
