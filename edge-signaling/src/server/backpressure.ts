/**
 * What becomes of a client that does not read what it is sent: at the limit its connection is cut, and the client resumes by
 * the event log and misses nothing (SPEC RL7). A carrier never drops single messages, which nobody would notice.
 *
 * On uWebSockets.js the library keeps the limit (`closeOnBackpressureLimit`). Node's own server bounds nothing, so each
 * connection is watched there.
 */
import { boundSends, guardCallback } from '@plenary/cluster';
import type { Socket } from 'socket.io';
import type { FrameGuard } from '../limits/frame-budgets.ts';

/** What may wait for a slow client, in bytes; a join's answer in a large room is some hundred kilobytes. */
export const MAX_SEND_BUFFER_BYTES = 4_194_304;

/** Whether a client reads so little that nothing more is written to it, also no pong. */
export const hasBackpressure = (waitingBytes: number): boolean => waitingBytes > MAX_SEND_BUFFER_BYTES;

/** Counts each slow client once: a carrier may tell of several messages before the connection is closed. */
export class SlowClients {
  readonly #onSlow: () => void;
  readonly #cutOff = new WeakSet<object>();

  constructor(onSlow: () => void) {
    this.#onSlow = onSlow;
  }

  /** A message could not be sent, and the connection ends. @param connection - its identity */
  cutOff(connection: object): void {
    if (this.#cutOff.has(connection)) return;
    this.#cutOff.add(connection);
    this.#onSlow();
  }
}

/** What is used of the `ws` behind a connection on Node's own server. */
interface WebSocketOfNode {
  on(event: 'ping' | 'pong', listener: () => void): unknown;
}

/** Keeps the limits of a connection on Node's own server, which has none: of what waits, and of pings and pongs. */
export function boundOnNode(
  connection: Socket['conn'],
  frames: Pick<FrameGuard, 'onFrame'>,
  slow: SlowClients,
): void {
  const carried: { readonly headers: unknown; readonly websocket?: WebSocketOfNode } = connection.request;
  const countFrame = guardCallback('socket', () => {
    // A ping is answered by the library, also for a client that does not read.
    const waitingBytes = connection.request.socket.writableLength;
    if (hasBackpressure(waitingBytes) || frames.onFrame(1) !== 'allowed') connection.request.socket.destroy();
  });
  carried.websocket?.on('ping', countFrame);
  carried.websocket?.on('pong', countFrame);
  boundSends(connection, MAX_SEND_BUFFER_BYTES, () => {
    slow.cutOff(connection);
  });
}
