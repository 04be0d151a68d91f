import { PlenaryError } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';

export interface EntryGateSettings {
  /** Entries under way at a time. */
  readonly atOnce: number;
  /** Who waited for longer is refused: the client is about to give up, and what it asked would be done for nobody. */
  readonly patienceMs: number;
  readonly clock: Clock;
  /** Told how many wait, whenever that changes. */
  readonly onWaiting: (count: number) => void;
}

interface Waiting {
  readonly sinceMs: number;
  readonly isWanted: () => boolean;
  readonly admit: () => void;
  readonly refuse: (error: PlenaryError) => void;
}

/**
 * Lets entries in by order of arrival, a bounded number at a time (SPEC HE2). When thousands come at once, the first ones
 * are then done while the last ones wait; without it all would be done last, after many have given up. What waits
 * costs nothing but its place: each turn of the event loop does the work of `atOnce` entries at most, so that everybody
 * else's requests get their turn as well.
 */
export class EntryGate {
  readonly #settings: EntryGateSettings;
  #queue: Waiting[] = [];
  /** What of the queue is done with: a queue of thousands is not moved for each one that leaves it. */
  #head = 0;
  #underWay = 0;

  constructor(settings: EntryGateSettings) {
    this.#settings = settings;
  }

  /**
   * Does the work once it is its turn.
   * @param isWanted - asked when its turn comes: whether there is still somebody to do it for
   * @throws PlenaryError `timed_out` when it was not its turn in time, or nobody wants it any more; what the work throws
   */
  async pass<Result>(isWanted: () => boolean, work: () => Promise<Result>): Promise<Result> {
    if (this.#underWay >= this.#settings.atOnce) await this.#turn(isWanted);
    else this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#admitNext();
    }
  }

  /** For how long the one whose turn is next has waited, in milliseconds; 0 when nobody waits. */
  get waitedMs(): number {
    const next = this.#queue[this.#head];
    return next === undefined ? 0 : this.#settings.clock.monotonicMs() - next.sinceMs;
  }

  #turn(isWanted: () => boolean): Promise<void> {
    return new Promise((admit, refuse) => {
      this.#queue.push({ sinceMs: this.#settings.clock.monotonicMs(), isWanted, admit, refuse });
      this.#tell();
    });
  }

  #admitNext(): void {
    const { atOnce, patienceMs, clock } = this.#settings;
    while (this.#underWay < atOnce) {
      const next = this.#take();
      if (next === undefined) break;
      if (!next.isWanted()) next.refuse(new PlenaryError('timed_out', 'The connection closed meanwhile.'));
      else if (clock.monotonicMs() - next.sinceMs > patienceMs) {
        next.refuse(new PlenaryError('timed_out', 'Too many enter at this edge just now.'));
      } else {
        this.#underWay += 1;
        next.admit();
      }
    }
    this.#tell();
  }

  #take(): Waiting | undefined {
    const next = this.#queue[this.#head];
    if (next === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#queue.length || this.#head >= 1_024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }

  #tell(): void {
    this.#settings.onWaiting(this.#queue.length - this.#head);
  }
}
