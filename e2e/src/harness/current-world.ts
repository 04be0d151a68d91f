/** A cluster with a meeting, on which the rows of a table act one after the other. */
interface TestWorld {
  stop(): Promise<void>;
}

/** Starts the world at first use, and replaces it after a row that failed. */
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

  /** @throws the action's error, after it has stopped the world */
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
