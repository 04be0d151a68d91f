import { PlenaryError } from '@plenary/cluster';
import type { FrameGuard, FrameBudgetVerdict } from '../limits/frame-budgets.ts';

/**
 * What a client is told whose frame is not read, after which its connection ends (SPEC RL2, BU65); `undefined` where the frame
 * is read. A flood comes first: a binary frame of a flood is part of it.
 */
export function faultOfFrame(verdict: FrameBudgetVerdict, isText: boolean): PlenaryError | undefined {
  if (verdict !== 'allowed') return new PlenaryError(verdict);
  return isText ? undefined : new PlenaryError('malformed_message', 'Binary frame.');
}

/** What is used of Engine.IO's connection to count its frames. */
export interface FramedConnection {
  readonly transport: object;
}

/**
 * Owns the frame guard of each connection, from its handshake on. Engine.IO and uWebSockets.js know a connection by different
 * objects, and both know its transport: guards are found by that.
 */
export class FrameGuards {
  readonly #open: (address: string) => FrameGuard;
  readonly #byTransport = new WeakMap<object, FrameGuard>();

  /** @param open - makes the guard of a new connection of an address */
  constructor(open: (address: string) => FrameGuard) {
    this.#open = open;
  }

  opened({ transport }: FramedConnection, address: string): FrameGuard {
    const guard = this.#open(address);
    this.#byTransport.set(transport, guard);
    return guard;
  }

  of(transport: object): FrameGuard | undefined {
    return this.#byTransport.get(transport);
  }

  /**
   * Counts a ping or pong, which the WebSocket library answers and nobody else sees (SPEC RL10).
   * @returns whether its connection may stay; one without a guard may not
   */
  allowsControlFrame(transport: object | undefined): boolean {
    return transport !== undefined && this.of(transport)?.onFrame(1) === 'allowed';
  }
}
