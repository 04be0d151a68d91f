/** A server that listens where an attacker wants processes and operators to connect. */
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { HostileWorld } from './hostile-world.ts';

/** The secrets that must not leave the cluster's machines. */
export const secretsOf = ({ cluster }: HostileWorld): readonly string[] => [
  cluster.clusterSecret,
  cluster.adminToken,
  cluster.apiSecret,
];

/** Listens in place of a process that does not exist, and records what it receives. */
export class Lure {
  received = '';
  readonly #sockets = new Set<Socket>();
  readonly #server;

  /** @param answer - the answer to every request */
  constructor(answer = '') {
    this.#server = createServer((_request, response) => response.end(answer));
  }

  async listen(): Promise<string> {
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('data', (chunk) => (this.received += chunk.toString('latin1')));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
