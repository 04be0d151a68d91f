import { inBackground } from '@plenary/cluster';
import type { Timers } from '@plenary/cluster';

/** How often a pipe that has brought nothing yet is looked at. */
export const LOOK_EVERY_MS = 5_000;
/** A pipe is silent when the home sent more each time: from the first look to the last ten seconds pass. */
const LOOKS_IN_VAIN = 3;

export interface SilenceWatchPorts {
  /** Bytes that came out of the pipe so far. */
  readonly receivedBytes: () => Promise<number>;
  /** Bytes that the home sent into it so far. */
  readonly sentBytes: () => Promise<number>;
  /** Whether the home is to send anything now. */
  readonly isFlowing: () => boolean;
  readonly timers: Timers;
  /** Told of a look that failed; there will be another one. */
  readonly onFault: (thrown: unknown) => void;
  readonly onSilent: () => void;
}

/**
 * Finds out that a pipe brings nothing of what its home sends into it, since no network says that packets to a mistyped address, or through
 * a firewall, do not arrive (SPEC PI14). A publisher whose own media never comes makes no pipe silent: its home sends nothing.
 */
export class SilenceWatch {
  readonly #ports: SilenceWatchPorts;
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #sentBefore = 0;
  #inVain = 0;

  constructor(ports: SilenceWatchPorts) {
    this.#ports = ports;
    this.#lookLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #lookLater(): void {
    this.#cancel = this.#ports.timers.after(LOOK_EVERY_MS, () => inBackground(() => this.#check()));
  }

  async #check(): Promise<void> {
    const { onFault, onSilent } = this.#ports;
    let isSound = false;
    try {
      isSound = await this.#hasBroughtAny();
    } catch (thrown) {
      if (!this.#isStopped) onFault(thrown);
    }
    if (isSound || this.#isStopped) return;
    if (this.#inVain >= LOOKS_IN_VAIN) onSilent();
    else this.#lookLater();
  }

  async #hasBroughtAny(): Promise<boolean> {
    const { receivedBytes, sentBytes, isFlowing } = this.#ports;
    if ((await receivedBytes()) > 0) return true;
    if (!isFlowing()) return false;
    const sent = await sentBytes();
    // The first bytes may have come while the home was asked.
    if ((await receivedBytes()) > 0) return true;
    if (sent > this.#sentBefore) this.#inVain += 1;
    this.#sentBefore = sent;
    return false;
  }
}
