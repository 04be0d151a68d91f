import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

/** Carries TCP connections over a distance: what goes in comes out so much later, in its order. */
export class DistantRelay {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param oneWayMs - how long each direction takes, in milliseconds */
  static async to(port: number, oneWayMs: number): Promise<DistantRelay> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new DistantRelay(server, port, oneWayMs);
  }

  private constructor(server: Server, farPort: number, oneWayMs: number) {
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The relay has no port.');
    this.port = address.port;
    server.on('connection', (near) => {
      const far = connect({ port: farPort, host: '127.0.0.1', noDelay: true });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.on('data', (chunk) => {
          // Timers of one length fire in the order in which they were set.
          setTimeout(() => {
            if (to.writable) to.write(chunk);
          }, oneWayMs);
        });
      }
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
