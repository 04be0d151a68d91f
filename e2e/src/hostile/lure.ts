/** What listens where an attacker wants processes and operators to call. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { HostileWorld } from './hostile-world.ts';

/** Everything that must not leave the cluster's machines. */
export const secretsOf = ({ cluster }: HostileWorld): readonly string[] => [
  cluster.clusterSecret,
  cluster.adminToken,
  cluster.apiSecret,
];

/** Listens in the place of a process that there is not, and keeps what comes. */
export class Lure {
  heard = '';
  readonly #sockets = new Set<Socket>();
  readonly #server;

  /** @param answer - what every request is answered with */
  constructor(answer = '') {
    this.#server = createServer((_request, response) => response.end(answer));
  }

  async listen(): Promise<string> {
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('data', (chunk) => (this.heard += chunk.toString('latin1')));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
