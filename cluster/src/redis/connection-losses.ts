import { systemClock } from '../clock.ts';
import { SIGN_OF_LIFE_MS } from './client.ts';
import { storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** Owns when connections ended and why: one that breaks all the time may be open at each look, and serves nobody (SPEC HL52). */
export class ConnectionLosses {
  /** Why the last connection ended, and when. */
  #last: { readonly fault: unknown; readonly atMs: number } | undefined;

  note(fault: unknown): void {
    this.#last = { fault, atMs: systemClock.monotonicMs() };
  }

  /** Why the last connection ended, if that was lately. */
  get trouble(): StoreTrouble | undefined {
    if (this.#last === undefined || systemClock.monotonicMs() - this.#last.atMs >= SIGN_OF_LIFE_MS)
      return undefined;
    return storeTroubleOf(this.#last.fault);
  }
}
