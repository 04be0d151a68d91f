import { after, PlenaryError } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { FairQueue } from './fair-queue.ts';
import type { QueueOwner } from './fair-queue.ts';

/** A client waits ten seconds for an answer; whoever is let in by then is answered in time. */
export const ENTRY_PATIENCE_MS = 8_000;

export interface EntryGateSettings {
  /** Entries under way at a time. */
  readonly atOnce: number;
  /** Who waited for longer is refused: the client is about to give up, and what it asked would be done for nobody. */
  readonly patienceMs: number;
  readonly clock: Clock;
  /** Told how many wait, whenever that changes. */
  readonly onWaiting: (count: number) => void;
}

/** Who enters. */
export interface Entrant {
  readonly owner: QueueOwner;
  /** Asked when its turn comes: whether there is still somebody to do the work for. */
  readonly isWanted: () => boolean;
}

/** One of the places in a gate, as the work that holds it sees it. */
export interface GatePlace {
  /**
   * Gives the place to the next one while something is waited for that is no work of this edge (SPEC BU2): a room that is
   * being rebuilt, a store or a media node that does not answer. It goes on, before those that have not begun, when a place
   * is free again.
   * @throws PlenaryError `timed_out` when there was none in time, or nobody wants the work any more; what is waited for throws
   */
  whileWaiting<Result>(waiting: () => Promise<Result>): Promise<Result>;
  /**
   * The same for what is quick as a rule, such as a command to the store: the place is given up only after {@link SLOW_AFTER_MS}. So a
   * store that answers has no more to do at a time than the gate lets in, and a silent master of a Redis Cluster holds up nobody
   * whose room is kept elsewhere.
   * @throws as {@link whileWaiting}
   */
  whileSlow<Result>(waiting: () => Promise<Result>): Promise<Result>;
}

/** For how long a place is held for what should have been answered by then, in milliseconds. */
export const SLOW_AFTER_MS = 100;

interface Waiting {
  readonly entrant: Entrant;
  /** When the client asked: its patience counts from here. */
  readonly askedMs: number;
  /** Since when it has waited for this turn. */
  readonly sinceMs: number;
  readonly admit: () => void;
  readonly refuse: (error: PlenaryError) => void;
}

/** Whether something is not settled within {@link SLOW_AFTER_MS}. */
async function isSlow(work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = after(SLOW_AFTER_MS, () => {
      resolve(true);
    });
  });
  const settled = (): boolean => false;
  try {
    return await Promise.race([work.then(settled, settled), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Lets entries in a bounded number at a time (SPEC HE2), in turn between addresses and peers (BU1). When thousands come at
 * once, the first ones are then done while the last ones wait; without it all would be done last, after many have given up.
 * What waits costs nothing but its place: each turn of the event loop does the work of `atOnce` entries at most, so that
 * everybody else's requests get their turn as well.
 */
export class EntryGate {
  readonly #settings: EntryGateSettings;
  /** Those that have begun and gave their place away meanwhile go first: what is half done is finished. */
  readonly #returning = new FairQueue<Waiting>();
  readonly #arriving = new FairQueue<Waiting>();
  #underWay = 0;

  constructor(settings: EntryGateSettings) {
    this.#settings = settings;
  }

  /**
   * Does the work once it is its turn.
   * @throws PlenaryError `timed_out` when it was not its turn in time, or nobody wants it any more; what the work throws
   */
  async pass<Result>(entrant: Entrant, work: (place: GatePlace) => Promise<Result>): Promise<Result> {
    const askedMs = this.#settings.clock.monotonicMs();
    if (!this.#takeFree()) await this.#turn(this.#arriving, entrant, askedMs);
    let isHeld = true;
    const giveBack = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#underWay -= 1;
      this.#admitNext();
    };
    const whileWaiting: GatePlace['whileWaiting'] = async (waiting) => {
      giveBack();
      const result = await waiting();
      if (!this.#takeFree()) await this.#turn(this.#returning, entrant, askedMs);
      isHeld = true;
      return result;
    };
    try {
      return await work({
        whileWaiting,
        whileSlow: async (waiting) => {
          const answer = waiting();
          return (await isSlow(answer)) ? whileWaiting(async () => answer) : answer;
        },
      });
    } finally {
      giveBack();
    }
  }

  /** For how long the one whose turn is next has waited, in milliseconds; 0 when nobody waits. */
  get waitedMs(): number {
    const next = this.#returning.first ?? this.#arriving.first;
    return next === undefined ? 0 : this.#settings.clock.monotonicMs() - next.sinceMs;
  }

  /** Whether nobody is in it or waits. */
  get isIdle(): boolean {
    return this.#underWay === 0 && this.#returning.length + this.#arriving.length === 0;
  }

  /** Takes a place, if there is one. */
  #takeFree(): boolean {
    if (this.#underWay >= this.#settings.atOnce) return false;
    this.#underWay += 1;
    return true;
  }

  #turn(queue: FairQueue<Waiting>, entrant: Entrant, askedMs: number): Promise<void> {
    const sinceMs = this.#settings.clock.monotonicMs();
    return new Promise((admit, refuse) => {
      queue.push(entrant.owner, { entrant, askedMs, sinceMs, admit, refuse });
      this.#tell();
    });
  }

  #admitNext(): void {
    const { atOnce, patienceMs, clock } = this.#settings;
    while (this.#underWay < atOnce) {
      const next = this.#returning.take() ?? this.#arriving.take();
      if (next === undefined) break;
      if (!next.entrant.isWanted()) {
        next.refuse(new PlenaryError('timed_out', 'The connection closed meanwhile.'));
      } else if (clock.monotonicMs() - next.askedMs > patienceMs) {
        next.refuse(new PlenaryError('timed_out', 'Too many enter at this edge just now.'));
      } else {
        this.#underWay += 1;
        next.admit();
      }
    }
    this.#tell();
  }

  #tell(): void {
    this.#settings.onWaiting(this.#returning.length + this.#arriving.length);
  }
}
