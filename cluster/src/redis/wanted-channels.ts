import { isReplyError, storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';

/** A channel in the slot of another one that nobody subscribes to: to leave it changes nothing, and the answer counts the channels that a connection has. */
export const nobodysChannel = (channel: string): string => `{${channel}}:nobody`;

/**
 * Owns which channels one connection is to hear, and which of them Redis refuses. The connection subscribes again each second to a
 * channel that Redis refused or lost: its user may get the right back (SPEC HL13).
 */
export class WantedChannels {
  readonly wanted = new Set<string>();
  /** Channels that were subscribed to and not refused so far. */
  readonly taken = new Set<string>();
  /** Channels that the connection has by now: without those on their way, which Redis may still refuse. */
  readonly #expected = new Set<string>();
  readonly #refused = new Map<string, StoreTrouble>();
  readonly #onFault: (fault: unknown) => void;

  constructor(onFault: (fault: unknown) => void) {
    this.#onFault = onFault;
  }

  get trouble(): StoreTrouble | undefined {
    return [...this.#refused.values()][0];
  }

  get expected(): ReadonlySet<string> {
    return this.#expected;
  }

  forget(channel: string): boolean {
    this.wanted.delete(channel);
    this.#refused.delete(channel);
    return this.drop(channel);
  }

  /** Has a channel subscribed to anew. @returns whether it was before */
  drop(channel: string): boolean {
    this.#expected.delete(channel);
    return this.taken.delete(channel);
  }

  /** Has every channel subscribed to anew, on a new connection. */
  dropAll(): void {
    this.#expected.clear();
    this.taken.clear();
  }

  took(channel: string): void {
    this.#refused.delete(channel);
    // Its subscriber may have left it meanwhile.
    if (this.taken.has(channel)) this.#expected.add(channel);
  }

  /**
   * Reports the first failure of each channel.
   * @param isLost - whether this connection has to subscribe again; otherwise the library does
   */
  failed(channel: string, fault: unknown, isLost: boolean): void {
    if (isLost) this.drop(channel);
    else if (this.taken.has(channel)) this.#expected.add(channel);
    const isKnown = this.#refused.has(channel);
    if (isReplyError(fault) && this.wanted.has(channel)) this.#refused.set(channel, storeTroubleOf(fault));
    if (!isKnown) this.#onFault(fault);
  }
}
