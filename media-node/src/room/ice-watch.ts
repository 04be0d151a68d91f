import type { Timers } from '@plenary/cluster';

/**
 * How long ICE may stay without consent before the peer counts as lost, in milliseconds. mediasoup reports
 * `disconnected` 30 s after the last sign of life, or when the last TCP connection closed, which a short change of
 * network does too.
 */
export const ICE_LOST_GRACE_MS = 20_000;

/** Decides by the ICE states of a peer's transports whether the peer is lost. */
export class IceWatch<Key> {
  readonly #timers: Timers;
  readonly #onLost: () => void;
  readonly #graces = new Map<Key, () => void>();

  /** @param onLost - called when a transport stayed disconnected for the whole grace */
  constructor(timers: Timers, onLost: () => void) {
    this.#timers = timers;
    this.#onLost = onLost;
  }

  changed(transport: Key, state: 'connected' | 'disconnected'): void {
    if (state === 'connected') {
      this.#graces.get(transport)?.();
      this.#graces.delete(transport);
    } else if (!this.#graces.has(transport)) {
      this.#graces.set(transport, this.#timers.after(ICE_LOST_GRACE_MS, this.#onLost));
    }
  }

  close(): void {
    for (const cancel of this.#graces.values()) cancel();
    this.#graces.clear();
  }
}
