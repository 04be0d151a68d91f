import { guardCallback } from '../process/guarded-callbacks.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { after } from '../process/guarded-callbacks.ts';
import type { KeySet } from './key-set.ts';
import type { VerificationKey } from './signed.ts';

/** How often a key set is read again, in milliseconds. */
const REFRESH_MS = 300_000;
/** How soon a failed reading is repeated, in milliseconds. */
const RETRY_MS = 10_000;
/** Tokens that name an unknown key cause at most one reading in this time, in milliseconds, however many there are. */
export const UNKNOWN_KEY_REFRESH_MS = 30_000;

export interface KeySetCacheSettings {
  readonly load: () => Promise<KeySet>;
  readonly clock: Clock;
  /** Called after each reading: with `undefined` if it succeeded. */
  readonly onRead: (fault: unknown) => void;
}

/**
 * Keeps the newest readable key set of one application while its source is unreachable. It is read in the background:
 * no token waits for it (SPEC TK10, TK24).
 */
export class KeySetCache {
  readonly #settings: KeySetCacheSettings;
  #keys: KeySet | undefined;
  #reading: Promise<void> | undefined;
  #readAtMs = -Infinity;
  /** Whether the last reading succeeded: if not, an unknown key may be a new one. */
  #isCurrent = false;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;

  constructor(settings: KeySetCacheSettings) {
    this.#settings = settings;
  }

  /** Starts reading the set, and repeats it periodically. */
  start(): void {
    this.#isRunning = true;
    this.#refreshSoon();
  }

  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }

  /**
   * The keys of an id; an empty list if no such key exists.
   * @throws PlenaryError `keys_unavailable` while the set is being read, or could not be: the same token may be
   * accepted soon
   */
  find(keyId: string): readonly VerificationKey[] {
    const keys = this.#keys?.get(keyId);
    if (keys !== undefined) return keys;
    const { clock } = this.#settings;
    if (this.#reading === undefined && clock.monotonicMs() - this.#readAtMs >= UNKNOWN_KEY_REFRESH_MS) {
      // One reading serves all callers meanwhile; a caller soon after it uses its result.
      this.#refreshSoon();
    }
    if (this.#reading !== undefined || !this.#isCurrent) throw new PlenaryError('keys_unavailable');
    return [];
  }

  /** Reads the set now, once for simultaneous callers. Never throws: the last good set stays. */
  async refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  #refreshSoon(): void {
    const { onRead } = this.#settings;
    this.refresh().catch(guardCallback('background', onRead));
  }

  async #read(): Promise<void> {
    const { load, onRead, clock } = this.#settings;
    this.#readAtMs = clock.monotonicMs();
    clearTimeout(this.#timer);
    let nextMs = REFRESH_MS;
    try {
      this.#keys = await load();
      this.#isCurrent = true;
      onRead(undefined);
    } catch (fault) {
      nextMs = RETRY_MS;
      this.#isCurrent = false;
      onRead(fault);
    }
    if (this.#isRunning) this.#timer = after(nextMs, () => this.refresh());
  }
}
