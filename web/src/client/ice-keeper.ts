import { toPlenaryError } from '@plenary/cluster/errors';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog, Counters } from './counters.ts';

/** How long a connection may stay disconnected before ICE is restarted, in milliseconds: most gaps close without a restart. */
const DISCONNECTED_TOLERANCE_MS = 1_500;
/** Time limit of one restart, in milliseconds. */
const RESTART_TIMEOUT_MS = 4_000;
/** Restarts in a row before the media session is reopened. */
const MAX_RESTARTS = 3;

export interface IceKeeperEnvironment {
  readonly restartIce: () => Promise<types.IceParameters>;
  /** Called when no restart recovered the transport. */
  readonly failed: () => void;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** Restarts ICE of one transport when its path is lost, for example after a change of network. */
export class IceKeeper {
  readonly #transport: types.Transport;
  readonly #environment: IceKeeperEnvironment;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #restarts = 0;

  constructor(transport: types.Transport, environment: IceKeeperEnvironment) {
    this.#transport = transport;
    this.#environment = environment;
    transport.on('connectionstatechange', (state) => {
      switch (state) {
        case 'connected':
          this.#restarts = 0;
          this.#restartAfter(undefined);
          break;
        case 'disconnected':
          this.#restartAfter(DISCONNECTED_TOLERANCE_MS);
          break;
        case 'failed':
          this.#restartAfter(0);
          break;
        case 'closed':
          this.stop();
          break;
        default:
      }
    });
  }

  /**
   * Restarts ICE at once, because the path seems to be lost although ICE has not reported it yet, or has only just done so. The connection
   * state decides about further restarts.
   */
  async restartNow(): Promise<void> {
    if (this.#transport.connectionState === 'disconnected' && this.#restarts === 0) this.#restartAfter(0);
    if (this.#transport.connectionState !== 'connected') return;
    try {
      await this.#requestRestart();
    } catch (thrown) {
      this.#environment.log.warn('ICE restart failed', toPlenaryError(thrown).message);
    }
  }

  stop(): void {
    this.#restartAfter(undefined);
  }

  #restartAfter(delayMs: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = delayMs === undefined ? undefined : setTimeout(() => void this.#restart(), delayMs);
  }

  /** Handles its own errors: a failed restart leads to the next one, the last one to `failed`. */
  async #restart(): Promise<void> {
    if (this.#transport.closed) return;
    if (this.#restarts >= MAX_RESTARTS) {
      this.#environment.failed();
      return;
    }
    this.#restarts += 1;
    this.#restartAfter(RESTART_TIMEOUT_MS);
    try {
      await this.#requestRestart();
    } catch (thrown) {
      this.#environment.log.warn('ICE restart failed', toPlenaryError(thrown).message);
      if (!this.#transport.closed)
        this.#restartAfter(fullJitterMs(this.#restarts, RETRY_BACKOFF, Math.random()));
    }
  }

  async #requestRestart(): Promise<void> {
    this.#environment.counters.iceRestarts += 1;
    const iceParameters = await this.#environment.restartIce();
    if (!this.#transport.closed) await this.#transport.restartIce({ iceParameters });
  }
}
