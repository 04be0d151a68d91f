import type { LeaseKeeper } from './lease-keeper.ts';

/**
 * Decides whether this node admits new peers, apart from its capacity: it must hold its lease, and neither drain nor
 * stop. Keeps both of these states; rooms, `/ready` and the registry record use it.
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

  /** Notes that a drain has begun or was cancelled. */
  setDraining(isDraining: boolean): void {
    this.#isDraining = isDraining;
  }

  /** Notes that the node stops; a stop cannot be cancelled. */
  setStopping(): void {
    this.#isStopping = true;
  }

  /** Returns why no new peer is admitted, in one sentence; `undefined` when new peers are. */
  refusal(): string | undefined {
    if (this.#isStopping) return 'The media node is stopping.';
    return this.#isDraining ? 'The media node is draining.' : this.#lease.missing();
  }
}
