import { inBackground } from '@plenary/cluster';
import type { Timers } from '@plenary/cluster';

/** How often a pipe that has delivered nothing yet is checked, in milliseconds. */
export const CHECK_INTERVAL_MS = 5_000;
/**
 * A pipe is silent when the home had sent more at each of these checks: from the first to the last, ten seconds pass.
 */
const FAILED_CHECKS = 3;

export interface SilenceWatchPorts {
  /** Bytes that came out of the pipe so far. */
  readonly receivedBytes: () => Promise<number>;
  /** Bytes that the home sent into the pipe so far. */
  readonly sentBytes: () => Promise<number>;
  /** Whether the home should be sending now. */
  readonly isFlowing: () => boolean;
  readonly timers: Timers;
  /** Receives the fault of a failed check; another check follows. */
  readonly onFault: (thrown: unknown) => void;
  readonly onSilent: () => void;
}

/**
 * Finds a pipe that delivers nothing of what its home sends. No network reports that packets to a mistyped address,
 * or through a firewall, do not arrive (SPEC PI14). A publisher that sends nothing makes no pipe silent, because its
 * home sends nothing either.
 */
export class SilenceWatch {
  readonly #ports: SilenceWatchPorts;
  #cancel: (() => void) | undefined;
  #isStopped = false;
  #sentBefore = 0;
  #failedChecks = 0;

  constructor(ports: SilenceWatchPorts) {
    this.#ports = ports;
    this.#scheduleCheck();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #scheduleCheck(): void {
    this.#cancel = this.#ports.timers.after(CHECK_INTERVAL_MS, () => inBackground(() => this.#check()));
  }

  async #check(): Promise<void> {
    const { onFault, onSilent } = this.#ports;
    let hasDelivered = false;
    try {
      hasDelivered = await this.#hasDelivered();
    } catch (thrown) {
      if (!this.#isStopped) onFault(thrown);
    }
    if (hasDelivered || this.#isStopped) return;
    if (this.#failedChecks >= FAILED_CHECKS) onSilent();
    else this.#scheduleCheck();
  }

  async #hasDelivered(): Promise<boolean> {
    const { receivedBytes, sentBytes, isFlowing } = this.#ports;
    if ((await receivedBytes()) > 0) return true;
    if (!isFlowing()) return false;
    const sent = await sentBytes();
    // The first bytes may have arrived while the home was asked.
    if ((await receivedBytes()) > 0) return true;
    if (sent > this.#sentBefore) this.#failedChecks += 1;
    this.#sentBefore = sent;
    return false;
  }
}
