import { guardCallback } from '../process/guarded-callbacks.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { after } from '../process/guarded-callbacks.ts';
import type { KeySet } from './key-set.ts';
import type { VerificationKey } from './signed.ts';

/** How often a key set is read again by itself. */
const REFRESH_MS = 300_000;
/** How soon it is tried again after it could not be read. */
const RETRY_MS = 10_000;
/** Tokens that name an unknown key have it read again at most once in this time, however many there are. */
export const UNKNOWN_KEY_REFRESH_MS = 30_000;

export interface KeySetCacheSettings {
  readonly load: () => Promise<KeySet>;
  readonly clock: Clock;
  /** Told of each reading: `undefined` when it went well. */
  readonly onRead: (fault: unknown) => void;
}

/**
 * The newest key set of one application that could be read. It is kept while its source is away, and read in the
 * background: no token waits for it (SPEC TK10, TK24).
 */
export class KeySetCache {
  readonly #settings: KeySetCacheSettings;
  #keys: KeySet | undefined;
  #reading: Promise<void> | undefined;
  #readAtMs = -Infinity;
  /** Whether the last reading gave a set: without it nobody can say that a key is not there. */
  #isCurrent = false;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;

  constructor(settings: KeySetCacheSettings) {
    this.#settings = settings;
  }

  /** Begins to read the set, and reads it again and again. */
  start(): void {
    this.#isRunning = true;
    this.#refreshSoon();
  }

  stop(): void {
    this.#isRunning = false;
    clearTimeout(this.#timer);
  }

  /**
   * The keys of an id; none when there is no such key.
   * @throws PlenaryError `keys_unavailable` while the set is being read, or could not be: the same token may be taken soon
   */
  find(keyId: string): readonly VerificationKey[] {
    const keys = this.#keys?.get(keyId);
    if (keys !== undefined) return keys;
    const { clock } = this.#settings;
    if (this.#reading === undefined && clock.monotonicMs() - this.#readAtMs >= UNKNOWN_KEY_REFRESH_MS) {
      // One reading for all who ask meanwhile; whoever asks soon after it has its answer already.
      this.#refreshSoon();
    }
    if (this.#reading !== undefined || !this.#isCurrent) throw new PlenaryError('keys_unavailable');
    return [];
  }

  /** Reads the set now, once for all who ask. Never throws: the last good one stays. */
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
