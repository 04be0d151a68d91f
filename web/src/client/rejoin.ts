import { PlenaryError } from '@plenary/cluster/errors';
import type { SessionKey } from './session-key.ts';

/** The detail of the `browser_failed` that says that a ticket may be there, and that the browser does not give it. */
export const KEPT_UNREADABLE = 'kept_unreadable';

export function keptUnreadable(): PlenaryError {
  return new PlenaryError('browser_failed', 'What one comes back with cannot be read.', {
    detail: { reason: KEPT_UNREADABLE },
  });
}

/** What a person comes back with after their session is over: worth nothing without the key. */
export interface RejoinTicket {
  readonly token: string;
  readonly key: SessionKey;
}

/** Where a ticket outlives the page. Neither method throws: without a ticket one joins as for the first time. */
export interface RejoinTicketStore {
  /** `unreadable`: something may be kept, and the store does not give it now. Nobody becomes somebody else by that unasked. */
  load(): Promise<RejoinTicket | 'unreadable' | undefined>;
  /** `undefined` forgets the one that is kept. */
  save(ticket: RejoinTicket | undefined): Promise<void>;
}

/** The ticket of one room: the one of this page's own last join, else the one that was kept. */
export class RejoinTickets {
  readonly #keeper: RejoinTicketStore | undefined;
  #own: RejoinTicket | undefined;
  #kept: ReturnType<RejoinTicketStore['load']> | undefined;

  constructor(keeper: RejoinTicketStore | undefined) {
    this.#keeper = keeper;
  }

  /** Of this page's own last join. */
  get own(): RejoinTicket | undefined {
    return this.#own;
  }

  /** What is unreadable now is asked for again by the next call. */
  async find(): ReturnType<RejoinTicketStore['load']> {
    if (this.#own !== undefined) return this.#own;
    this.#kept ??= this.#keeper?.load() ?? Promise.resolve(undefined);
    const asked = this.#kept;
    const kept = await asked;
    if (kept === 'unreadable' && this.#kept === asked) this.#kept = undefined;
    return kept;
  }

  async replace(ticket: RejoinTicket | undefined): Promise<void> {
    this.setAside();
    this.#own = ticket;
    await this.#keeper?.save(ticket);
  }

  /** Comes in without what was kept, and asks the store for it no more. */
  setAside(): void {
    this.#own = undefined;
    this.#kept = Promise.resolve(undefined);
  }
}
