import type { Logger } from 'pino';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { Damping } from '../damping.ts';
import { after } from '../process/guarded-callbacks.ts';
import type { Coverage } from './cluster-watch.ts';
import { ADVICE } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** For so long a broken connection says nothing new where something more telling was known. */
const KEEP_CAUSE_MS = 3_000;

const RANK: Readonly<Record<Coverage, number>> = { none: 0, part: 1, whole: 2 };

export interface StoreHealthListener {
  /** Called on each change, and with `true` again when a part that was away is served again. */
  onAvailability(available: boolean): void;
  onTrouble(trouble: StoreTrouble | undefined): void;
}

/** What is said of what it watches. */
export interface HealthWords {
  readonly away: string;
  readonly partAway: string;
  readonly back: string;
}

const STORE_WORDS: HealthWords = {
  away: 'the store is away: running meetings go on, joins are refused until it returns',
  partAway: 'a part of the store is away: its rooms take no joins until it returns',
  back: 'the store answers, and takes writes',
};

/**
 * What is known of the store, from what the watch found: a loss counts at once, a return as soon as the store has not been
 * flapping (SPEC HL4, HL19). Says each cause once an outage, in one line.
 */
export class StoreHealth {
  readonly #listener: StoreHealthListener;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #words: HealthWords;
  readonly #damping: Damping;
  readonly #told = new Set<StoreTrouble>();
  #coverage: Coverage = 'none';
  #trouble: StoreTrouble | undefined = 'no_connection';
  #troubleAtMs = Number.NEGATIVE_INFINITY;
  #returning: { readonly to: Coverage; readonly timer: NodeJS.Timeout } | undefined;
  #isClosed = false;

  constructor(
    listener: StoreHealthListener,
    logger: Logger,
    clock: Clock = systemClock,
    words: HealthWords = STORE_WORDS,
  ) {
    this.#listener = listener;
    this.#logger = logger;
    this.#clock = clock;
    this.#words = words;
    this.#damping = new Damping(clock);
  }

  get isAvailable(): boolean {
    return this.#coverage !== 'none';
  }

  /** Why it is away, or a part of it; `undefined` while all is well. */
  get trouble(): StoreTrouble | undefined {
    return this.#trouble;
  }

  close(): void {
    this.#isClosed = true;
    this.#coverage = 'none';
    this.#stopReturning();
  }

  /** What the watch found, told as often as it looks. @param trouble - why it is not the whole */
  found(reach: Coverage, trouble: StoreTrouble = 'no_connection'): void {
    if (this.#isClosed) return;
    if (RANK[reach] <= RANK[this.#coverage]) this.#stopReturning();
    if (reach !== 'whole') this.#note(trouble);
    if (RANK[reach] < RANK[this.#coverage]) this.#lose(reach);
    else if (RANK[reach] > RANK[this.#coverage]) this.#returnLater(reach);
    if (reach !== 'whole') this.#tell();
  }

  #note(trouble: StoreTrouble): void {
    const nowMs = this.#clock.monotonicMs();
    const isVague = trouble === 'no_connection' && this.#coverage !== 'whole';
    if (isVague && nowMs - this.#troubleAtMs < KEEP_CAUSE_MS) return;
    if (trouble !== 'no_connection') this.#troubleAtMs = nowMs;
    this.#setTrouble(trouble);
  }

  #setTrouble(trouble: StoreTrouble | undefined): void {
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    this.#listener.onTrouble(trouble);
  }

  #lose(to: Coverage): void {
    this.#damping.noteLoss();
    const wasAvailable = this.isAvailable;
    this.#coverage = to;
    if (wasAvailable && !this.isAvailable) this.#listener.onAvailability(false);
  }

  #returnLater(to: Coverage): void {
    if (this.#returning?.to === to) return;
    this.#stopReturning();
    const waitMs = this.#damping.holdMs;
    if (waitMs === 0) this.#return(to);
    else this.#returning = { to, timer: after(waitMs, () => this.#return(to)) };
  }

  #return(to: Coverage): void {
    this.#returning = undefined;
    this.#coverage = to;
    if (to === 'whole') {
      this.#told.clear();
      this.#troubleAtMs = Number.NEGATIVE_INFINITY;
      this.#setTrouble(undefined);
      this.#logger.info(this.#words.back);
    }
    this.#listener.onAvailability(true);
  }

  #stopReturning(): void {
    clearTimeout(this.#returning?.timer);
    this.#returning = undefined;
  }

  /** One line for each cause of an outage, at the start of the process too. */
  #tell(): void {
    const cause = this.#trouble;
    if (cause === undefined || this.#told.has(cause)) return;
    this.#told.add(cause);
    const { mustAct, toDo } = ADVICE[cause];
    const what = this.isAvailable ? this.#words.partAway : this.#words.away;
    if (mustAct) this.#logger.error({ cause, toDo }, what);
    else this.#logger.warn({ cause, toDo }, what);
  }
}
