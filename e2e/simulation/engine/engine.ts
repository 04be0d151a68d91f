import { PlenaryError } from '@plenary/cluster';
import type { RouterId } from '@plenary/cluster';
import type { RoomRouter, Workers } from '@plenary/media-node/simulation';
import type { Host } from './host.ts';
import { SimulatedRouter } from './router.ts';

/** A dead worker is replaced after this time, in milliseconds. */
const RESTART_MS = 150;

/** The workers of one life of a media node. */
export class Engine implements Workers {
  readonly routers = new Map<RouterId, SimulatedRouter>();
  readonly host: Host;
  readonly #alive: boolean[];

  constructor(host: Host, workers: number) {
    this.host = host;
    this.#alive = Array.from({ length: workers }, () => true);
  }

  alive(): readonly { readonly index: number; readonly cpu: number }[] {
    return this.#alive.flatMap((alive, index) => (alive ? [{ index, cpu: 0 }] : []));
  }

  worker(index: number): { createRouter(): Promise<RoomRouter> } | undefined {
    if (this.#alive[index] !== true) return undefined;
    return {
      createRouter: async () => {
        await this.host.answer(index);
        if (this.#alive[index] !== true) throw new PlenaryError('media_lost');
        const router = new SimulatedRouter(this.host, index, () => this.routers.delete(router.id));
        this.routers.set(router.id, router);
        return router;
      },
    };
  }

  /** A worker dies with all its routers, and another one replaces it. Call it as the process. */
  workerDies(index: number): void {
    this.#alive[index] = false;
    for (const router of [...this.routers.values()]) if (router.workerIndex === index) router.close();
    setTimeout(() => {
      this.#alive[index] = true;
    }, RESTART_MS);
  }
}
