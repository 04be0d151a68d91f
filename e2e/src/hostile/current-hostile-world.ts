import type { Attack, HostileWorldKind } from './attack.ts';
import { HostileWorld } from './hostile-world.ts';
import { withstand } from './withstand.ts';
import type { Noticed } from './withstand.ts';

/** The world that attacks strike, one after the other. It is made when it is needed, and anew after one that was noticed. */
export class CurrentHostileWorld {
  readonly #kind: HostileWorldKind;
  #world: HostileWorld | undefined;

  constructor(kind: HostileWorldKind) {
    this.#kind = kind;
  }

  async start(): Promise<HostileWorld> {
    this.#world ??= await HostileWorld.start(this.#kind);
    return this.#world;
  }

  /** @throws Error what was not as it should be, with what everybody said last */
  async withstand(attack: Attack, attackMs?: number): Promise<Noticed> {
    const world = await this.start();
    try {
      return await withstand(world, attack, attackMs);
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
