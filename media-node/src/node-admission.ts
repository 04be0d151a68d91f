import type { LeaseKeeper } from './lease-keeper.ts';

/**
 * Decides whether this node takes new peers, apart from its size: it must hold its lease, and neither drain nor stop. It owns
 * both of these states; rooms, `/ready` and the registry entry ask it.
 */
export class NodeAdmission {
  readonly #lease: Pick<LeaseKeeper, 'missing'>;
  #isDraining = false;
  #isStopping = false;

  constructor(lease: Pick<LeaseKeeper, 'missing'>) {
    this.#lease = lease;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** A drain has begun, or was cancelled. */
  setDraining(isDraining: boolean): void {
    this.#isDraining = isDraining;
  }

  /** The node stops, which cannot be taken back. */
  setStopping(): void {
    this.#isStopping = true;
  }

  /** Why no new peer may come, in one sentence; `undefined` when one may. */
  refusal(): string | undefined {
    if (this.#isStopping) return 'It is stopping.';
    return this.#isDraining ? 'It is draining.' : this.#lease.missing();
  }
}
