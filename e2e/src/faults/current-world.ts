import type { Fault } from './fault.ts';
import { survive } from './meeting.ts';
import type { Noticed } from './meeting.ts';
import { World } from './world.ts';
import type { WorldOptions } from './world.ts';

/** The world that faults strike, one after the other. It is made when it is needed, and anew after one that it did not survive. */
export class CurrentWorld {
  readonly #options: WorldOptions;
  #world: World | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  async start(): Promise<World> {
    this.#world ??= await World.start(this.#options);
    return this.#world;
  }

  /** @throws Error what was not as it should be, with what everybody said last */
  async survive(fault: Fault): Promise<{ readonly calm: Noticed; readonly noticed: Noticed }> {
    const world = await this.start();
    try {
      return await survive(world, fault);
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  async end(): Promise<void> {
    const world = this.#world;
    this.#world = undefined;
    await world?.stop();
  }
}
