import { inBackground } from '../process/entry.ts';
import { answerWithin } from './answer-within.ts';

/** A publication that is not answered within this time is late, in milliseconds: who is here is told without it. */
const LATE_AFTER_MS = 500;

/**
 * Waits for publications, and no more as soon as one is late: people of this edge hear each other at once, whatever becomes
 * of the connection (SPEC HL3). What was sent may still arrive.
 */
export class LatePublications {
  readonly #late = new Map<string, number>();

  /**
   * @param way - what shares a connection
   * @throws Error at once while an earlier publication that went this way is late, or when this one is
   */
  async pass<Result>(way: string, publish: () => Promise<Result>): Promise<Result> {
    if (this.#late.has(way)) throw new Error('The store does not answer.');
    const publication = publish();
    let isLate = false;
    const settled = (): void => {
      if (isLate) this.#add(way, -1);
    };
    inBackground(() => publication.then(settled, settled));
    return answerWithin(LATE_AFTER_MS, publication, () => {
      isLate = true;
      this.#add(way, 1);
    });
  }

  #add(way: string, count: number): void {
    const total = (this.#late.get(way) ?? 0) + count;
    if (total > 0) this.#late.set(way, total);
    else this.#late.delete(way);
  }
}
