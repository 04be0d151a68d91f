import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

/**
 * What becomes of what the far end answers: `later` by so many milliseconds, in its order; `half` of each connection's first answer, and
 * then nothing; `closed`: each connection ends as soon as it is made.
 */
export type Oddity = { readonly later: number } | 'half' | 'closed' | 'none';

/** Carries TCP connections to a server and makes it answer oddly. What is set counts for what is answered from then on. */
export class OddRelay {
  readonly port: number;
  oddity: Oddity = 'none';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections whose answers have stopped. */
  readonly #stalled = new WeakSet<Socket>();
  /** What waits for its time, by connection: timers release it in its order, whichever fires first. */
  readonly #held = new WeakMap<Socket, { readonly answer: Buffer; readonly dueMs: number }[]>();
  #carried = 0;

  static async to(port: number): Promise<OddRelay> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new OddRelay(server, port);
  }

  private constructor(server: Server, farPort: number) {
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The relay has no port.');
    this.port = address.port;
    server.on('connection', (near) => {
      if (this.oddity === 'closed') {
        near.destroy();
        return;
      }
      this.#carried += 1;
      const far = connect({ port: farPort, host: '127.0.0.1', noDelay: true });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
      near.pipe(far);
      far.on('data', (answer) => this.#answer(near, answer));
    });
  }

  /** Connections that were ever carried. */
  get carried(): number {
    return this.#carried;
  }

  /** Ends the connections that stand. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #answer(near: Socket, answer: Buffer): void {
    const { oddity } = this;
    if (this.#stalled.has(near) || !near.writable) return;
    if (oddity === 'half') {
      this.#stalled.add(near);
      near.write(answer.subarray(0, Math.ceil(answer.length / 2)));
      return;
    }
    // TCP keeps the order of what it carries: what comes after a delay has ended does not overtake what is still held back.
    const held = this.#held.get(near) ?? [];
    const delayMs = typeof oddity === 'object' ? oddity.later : 0;
    if (delayMs === 0 && held.length === 0) {
      near.write(answer);
      return;
    }
    const nowMs = performance.now();
    const dueMs = Math.max(nowMs + delayMs, held.at(-1)?.dueMs ?? 0);
    held.push({ answer, dueMs });
    this.#held.set(near, held);
    setTimeout(() => {
      const first = held.shift();
      if (first !== undefined && near.writable) near.write(first.answer);
    }, dueMs - nowMs);
  }
}
