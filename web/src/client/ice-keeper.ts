import { toPlenaryError } from '@plenary/cluster/errors';
import type { types } from 'mediasoup-client';
import { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
import type { ClientLog, Counters } from './counters.ts';

/** How long a connection may be silent before ICE is restarted, in milliseconds: most gaps close by themselves. */
const DISCONNECTED_PATIENCE_MS = 1_500;
/** How long one restart may take, in milliseconds. */
const RESTART_TIMEOUT_MS = 4_000;
/** Restarts in a row before media is opened anew. */
const MAX_RESTARTS = 3;

export interface IceKeeperEnvironment {
  readonly restartIce: () => Promise<types.IceParameters>;
  /** The transport could not be brought back. */
  readonly gaveUp: () => void;
  readonly counters: Counters;
  readonly log: ClientLog;
}

/** Restarts ICE of one transport when its path is lost, as after a change of network. */
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
          this.#wait(undefined);
          break;
        case 'disconnected':
          this.#wait(DISCONNECTED_PATIENCE_MS);
          break;
        case 'failed':
          this.#wait(0);
          break;
        case 'closed':
          this.stop();
          break;
        default:
      }
    });
  }

  /**
   * The path seems to be lost: restarts it at once, although ICE does not say so yet, or has only just said it. What follows is
   * for ICE to say.
   */
  async hurry(): Promise<void> {
    if (this.#transport.connectionState === 'disconnected' && this.#restarts === 0) this.#wait(0);
    if (this.#transport.connectionState !== 'connected') return;
    try {
      await this.#ask();
    } catch (thrown) {
      this.#environment.log.warn('ICE restart failed', toPlenaryError(thrown).message);
    }
  }

  stop(): void {
    this.#wait(undefined);
  }

  #wait(delayMs: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = delayMs === undefined ? undefined : setTimeout(() => void this.#restart(), delayMs);
  }

  /** Handles its own errors: each failed restart leads to the next one, the last to `gaveUp`. */
  async #restart(): Promise<void> {
    if (this.#transport.closed) return;
    if (this.#restarts >= MAX_RESTARTS) {
      this.#environment.gaveUp();
      return;
    }
    this.#restarts += 1;
    this.#wait(RESTART_TIMEOUT_MS);
    try {
      await this.#ask();
    } catch (thrown) {
      this.#environment.log.warn('ICE restart failed', toPlenaryError(thrown).message);
      if (!this.#transport.closed) this.#wait(fullJitterMs(this.#restarts, RETRY_BACKOFF, Math.random()));
    }
  }

  async #ask(): Promise<void> {
    this.#environment.counters.iceRestarts += 1;
    const iceParameters = await this.#environment.restartIce();
    if (!this.#transport.closed) await this.#transport.restartIce({ iceParameters });
  }
}
