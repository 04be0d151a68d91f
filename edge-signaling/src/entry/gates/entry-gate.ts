import { after, PlenaryError } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import { FairQueue } from './fair-queue.ts';
import type { QueueOwner } from './fair-queue.ts';

/** How long an entrant waits at most, in milliseconds. A client waits ten seconds for an answer, so this leaves two for the work. */
export const ENTRY_PATIENCE_MS = 8_000;

export interface EntryGateSettings {
  /** Entries under way at a time. */
  readonly atOnce: number;
  /** Entrants that waited for longer are refused, in milliseconds: the client is about to give up, so the work would be wasted. */
  readonly patienceMs: number;
  readonly clock: Clock;
  /** Called with the number of waiting entrants, whenever it changes. */
  readonly onWaiting: (count: number) => void;
}

/** A client that waits for a turn at a gate. */
export interface Entrant {
  readonly owner: QueueOwner;
  /** Whether the client still waits for the work; called when its turn comes. */
  readonly isWanted: () => boolean;
}

/** One of the places in a gate, for the work that holds it. */
export interface GatePlace {
  /**
   * Gives the place to the next entrant while the work waits for something outside this edge (SPEC BU2): a room that is
   * being rebuilt, a store or a media node that does not answer. The work continues when a place is free again, before
   * entrants that have not begun.
   * @throws PlenaryError `timed_out` if no place was free in time, or the client is gone; any error of `waiting`
   */
  whileWaiting<Result>(waiting: () => Promise<Result>): Promise<Result>;
  /**
   * Like {@link whileWaiting}, for calls that are mostly quick, such as a command to the store: gives the place away only after
   * {@link SLOW_AFTER_MS}. So the gate also bounds the load of a store that answers, and a silent master of a Redis Cluster delays no
   * entrants whose rooms are on another master.
   * @throws as {@link whileWaiting}
   */
  whileSlow<Result>(waiting: () => Promise<Result>): Promise<Result>;
}

/** How long the work keeps its place while it waits for a mostly quick call, in milliseconds. */
export const SLOW_AFTER_MS = 100;

interface Waiting {
  readonly entrant: Entrant;
  /** The time of the client's request; `patienceMs` counts from here. */
  readonly askedMs: number;
  /** The time since which it has waited for this turn. */
  readonly sinceMs: number;
  readonly admit: () => void;
  readonly refuse: (error: PlenaryError) => void;
}

/** Whether the work is not settled within {@link SLOW_AFTER_MS}. */
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
 * Admits a bounded number of entries at a time (SPEC HE2), in turn between addresses and peers (BU1). When thousands of clients
 * enter at once, the first entries complete while the last ones wait. Without a gate all would complete late, after many clients
 * have given up. Queues such as `p-queue` know no turns between addresses, no time limit for entrants and no turns of the event
 * loop. A waiting entrant costs only its place in the queue: each turn of the event loop does the work of `atOnce` entries at
 * most, so that other requests get their turn as well.
 */
export class EntryGate {
  readonly #settings: EntryGateSettings;
  /** Entries that have begun and gave their place away; they go first, so that begun work is finished. */
  readonly #returning = new FairQueue<Waiting>();
  readonly #arriving = new FairQueue<Waiting>();
  #underWay = 0;

  constructor(settings: EntryGateSettings) {
    this.#settings = settings;
  }

  /**
   * Does the work once the entrant's turn comes.
   * @throws PlenaryError `timed_out` if no turn came in time, or the client is gone; any error of the work
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

  /** How long the next entrant has waited, in milliseconds; 0 if none waits. */
  get waitedMs(): number {
    const next = this.#returning.first ?? this.#arriving.first;
    return next === undefined ? 0 : this.#settings.clock.monotonicMs() - next.sinceMs;
  }

  /** Whether no entry is under way and none waits. */
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
