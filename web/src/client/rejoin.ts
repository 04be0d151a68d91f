import type { SessionKey } from './session-key.ts';

/** What a person comes back with after their session is over: worth nothing without the key. */
export interface RejoinTicket {
  readonly token: string;
  readonly key: SessionKey;
}

/** Where a ticket outlives the page. Neither method throws: without a ticket one joins as for the first time. */
export interface RejoinKeeper {
  load(): Promise<RejoinTicket | undefined>;
  /** `undefined` forgets the one that is kept. */
  save(ticket: RejoinTicket | undefined): Promise<void>;
}

/** The ticket of one room: the one of this page's own last join, else the one that was kept. */
export class RejoinTickets {
  readonly #keeper: RejoinKeeper | undefined;
  #own: RejoinTicket | undefined;
  #kept: Promise<RejoinTicket | undefined> | undefined;

  constructor(keeper: RejoinKeeper | undefined) {
    this.#keeper = keeper;
  }

  /** Of this page's own last join. */
  get own(): RejoinTicket | undefined {
    return this.#own;
  }

  async find(): Promise<RejoinTicket | undefined> {
    if (this.#own !== undefined) return this.#own;
    this.#kept ??= this.#keeper?.load() ?? Promise.resolve(undefined);
    return this.#kept;
  }

  async replace(ticket: RejoinTicket | undefined): Promise<void> {
    this.#own = ticket;
    this.#kept = undefined;
    await this.#keeper?.save(ticket);
  }
}
