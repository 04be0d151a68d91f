import { systemClock } from '../clock.ts';
import { SIGN_OF_LIFE_MS } from './client.ts';
import { storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/**
 * Remembers when connections ended and why: a connection that breaks all the time may be open at each check, and serves
 * nobody (SPEC HL52).
 */
export class ConnectionLosses {
  /** The reason and the time of the last connection's end. */
  #last: { readonly fault: unknown; readonly atMs: number } | undefined;

  note(fault: unknown): void {
    this.#last = { fault, atMs: systemClock.monotonicMs() };
  }

  /** The reason of the last connection's end, if that was recent. */
  get trouble(): StoreTrouble | undefined {
    if (this.#last === undefined || systemClock.monotonicMs() - this.#last.atMs >= SIGN_OF_LIFE_MS)
      return undefined;
    return storeTroubleOf(this.#last.fault);
  }
}
