import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** Carries TCP connections, and can lose those that stand as a NAT does that forgot them: nothing passes, and nobody is told. */
export class SilentRelay {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #lost = new Set<Pair>();
  #carried = 0;

  static async to(port: number, host = '127.0.0.1'): Promise<SilentRelay> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SilentRelay(server, port, host);
  }

  private constructor(server: Server, farPort: number, farHost: string) {
    this.#server = server;
    const address = server.address();
    if (!isAddress(address)) throw new Error('The relay has no port.');
    this.port = address.port;
    server.on('connection', (near) => {
      const far = connect(farPort, farHost);
      const pair = { near, far };
      this.#pairs.add(pair);
      this.#carried += 1;
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      near.on('close', () => {
        this.#pairs.delete(pair);
        if (!this.#lost.has(pair)) far.destroy();
      });
      far.on('close', () => {
        if (!this.#lost.has(pair)) near.destroy();
      });
      near.pipe(far);
      far.pipe(near);
    });
  }

  /** Connections that were ever made. */
  get carried(): number {
    return this.#carried;
  }

  /** Of the connections that were lost, those that nobody has given up yet. */
  get heldOnTo(): number {
    return [...this.#lost].filter(({ near }) => !near.destroyed).length;
  }

  /** Loses every connection that stands; new ones are carried. @returns how many they were */
  lose(): number {
    const lost = [...this.#pairs];
    for (const pair of lost) {
      this.#lost.add(pair);
      pair.near.unpipe(pair.far);
      pair.far.unpipe(pair.near);
      // Taken, and thrown away.
      pair.near.resume();
      pair.far.resume();
    }
    return lost.length;
  }

  close(): void {
    this.#server.close();
    for (const { near, far } of [...this.#pairs, ...this.#lost]) {
      near.destroy();
      far.destroy();
    }
  }
}

const isAddress = (address: AddressInfo | string | null): address is AddressInfo =>
  typeof address === 'object' && address !== null;
