import { inBackground } from '../process/guarded-callbacks.ts';
import { answerWithin } from './answer-within.ts';

/**
 * A publication that is not answered within this time is late, in milliseconds: local clients then get it without
 * waiting.
 */
const LATE_AFTER_MS = 500;

/**
 * Waits for publications, but not once one is late: clients of this edge receive messages at once, whatever happens to
 * the connection (SPEC HL3). A late publication may still arrive.
 */
export class LatePublications {
  readonly #late = new Map<string, number>();

  /**
   * @param path - the key of the connection that publications share
   * @throws Error at once while an earlier publication that used this connection is late, or when this one is
   */
  async pass<Result>(path: string, publish: () => Promise<Result>): Promise<Result> {
    if (this.#late.has(path)) throw new Error('The store does not answer.');
    const publication = publish();
    let isLate = false;
    const settled = (): void => {
      if (isLate) this.#add(path, -1);
    };
    inBackground(() => publication.then(settled, settled));
    return answerWithin(LATE_AFTER_MS, publication, () => {
      isLate = true;
      this.#add(path, 1);
    });
  }

  #add(path: string, count: number): void {
    const total = (this.#late.get(path) ?? 0) + count;
    if (total > 0) this.#late.set(path, total);
    else this.#late.delete(path);
  }
}
