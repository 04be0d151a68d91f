import { PlenaryError } from '@plenary/cluster';
import type { RouterId } from '@plenary/cluster';
import type { RoomRouter, Workers } from '../engine/engine.ts';

/** Keeps a router open until it is released. */
export interface RouterLease {
  readonly router: RoomRouter;
  /** Repeated calls have no effect. */
  release(): void;
}

interface Entry {
  readonly workerIndex: number;
  readonly opening: Promise<RoomRouter>;
  router: RoomRouter | undefined;
  holders: number;
}

/** The routers of one room: one per worker, opened at first use and closed with the last lease. */
export class RoomRouters {
  readonly #pool: Workers;
  readonly #onEmpty: () => void;
  readonly #onRouterClosed: (routerId: RouterId) => void;
  readonly #entries = new Map<number, Entry>();

  /** @param onEmpty - called when the last router is freed */
  constructor(pool: Workers, onEmpty: () => void, onRouterGone: (routerId: RouterId) => void) {
    this.#pool = pool;
    this.#onEmpty = onEmpty;
    this.#onRouterClosed = onRouterGone;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Returns the room's router on a worker, and opens it if there is none. @throws PlenaryError `media_lost` */
  async acquire(workerIndex: number): Promise<RouterLease> {
    // A router that is opening is stored as its promise, so that two simultaneous joins open one router.
    const entry = this.#entries.get(workerIndex) ?? this.#open(workerIndex);
    entry.holders += 1;
    try {
      return this.#lease(entry, await entry.opening);
    } catch (error) {
      this.#release(entry);
      throw error;
    }
  }

  /** Returns a router that is open. @throws PlenaryError `track_not_found` when the room has no such router */
  async acquireExisting(routerId: RouterId): Promise<RouterLease> {
    for (const entry of this.#entries.values()) {
      if (entry.router?.id === routerId) return this.acquire(entry.workerIndex);
    }
    throw new PlenaryError('track_not_found', 'The router of the track is closed.');
  }

  /** Removes the router of a worker that died; releasing a lease on it has no effect. */
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
      this.#onRouterClosed(entry.router.id);
    }
    if (this.#entries.size === 0) this.#onEmpty();
  }
}
