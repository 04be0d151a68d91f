/** A cluster with a meeting that rows of a table act on, one after the other. */
interface TestWorld {
  stop(): Promise<void>;
}

/** Made when it is needed, and anew after a row that it did not withstand. */
export class CurrentWorld<Kind extends TestWorld> {
  readonly #make: () => Promise<Kind>;
  #world: Kind | undefined;

  constructor(make: () => Promise<Kind>) {
    this.#make = make;
  }

  async start(): Promise<Kind> {
    this.#world ??= await this.#make();
    return this.#world;
  }

  /** @throws what the act throws; the world is ended then */
  async act<Result>(act: (world: Kind) => Promise<Result>): Promise<Result> {
    const world = await this.start();
    try {
      return await act(world);
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
