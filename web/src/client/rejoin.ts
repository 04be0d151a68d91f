import { PlenaryError } from '@plenary/cluster/errors';
import type { SessionKey } from './session-key.ts';

/** The `reason` detail of `browser_failed` when a rejoin ticket may be stored but the browser cannot read it. */
export const KEPT_UNREADABLE = 'kept_unreadable';

export function keptUnreadable(): PlenaryError {
  return new PlenaryError('browser_failed', 'The stored rejoin ticket cannot be read.', {
    detail: { reason: KEPT_UNREADABLE },
  });
}

/** The token and key by which a person rejoins after their session ended. The token is useless without the key. */
export interface RejoinTicket {
  readonly token: string;
  readonly key: SessionKey;
}

/** Stores a ticket beyond the life of the page. Neither method throws: without a ticket the client joins as for the first time. */
export interface RejoinTicketStore {
  /** Returns `unreadable` when a ticket may be stored but cannot be read now; the client must not silently join as somebody else then. */
  load(): Promise<RejoinTicket | 'unreadable' | undefined>;
  /** Stores a ticket; `undefined` deletes the stored one. */
  save(ticket: RejoinTicket | undefined): Promise<void>;
}

/** The ticket of one room: that of this page's last join, else the stored one. */
export class RejoinTickets {
  readonly #store: RejoinTicketStore | undefined;
  #own: RejoinTicket | undefined;
  #stored: ReturnType<RejoinTicketStore['load']> | undefined;

  constructor(store: RejoinTicketStore | undefined) {
    this.#store = store;
  }

  /** The ticket of this page's last join. */
  get own(): RejoinTicket | undefined {
    return this.#own;
  }

  /** Reads the ticket. After `unreadable` the next call reads the store again. */
  async find(): ReturnType<RejoinTicketStore['load']> {
    if (this.#own !== undefined) return this.#own;
    this.#stored ??= this.#store?.load() ?? Promise.resolve(undefined);
    const loading = this.#stored;
    const ticket = await loading;
    if (ticket === 'unreadable' && this.#stored === loading) this.#stored = undefined;
    return ticket;
  }

  /** Uses and stores this ticket from now on; `undefined` deletes the stored one. */
  async replace(ticket: RejoinTicket | undefined): Promise<void> {
    this.ignoreStored();
    this.#own = ticket;
    await this.#store?.save(ticket);
  }

  /** Makes the next join ignore the stored ticket, and reads the store no more. */
  ignoreStored(): void {
    this.#own = undefined;
    this.#stored = Promise.resolve(undefined);
  }
}
