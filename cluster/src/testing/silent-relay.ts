import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** In what a client sends first it says what it is called, if at all. */
const NAMED_WITHIN_BYTES = 2_048;

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** What was sent first. */
  beginning: string;
}

/** Carries TCP connections, and can lose those that stand as a NAT does that forgot them: nothing passes, and nobody is told. */
export class SilentRelay {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #lost = new Set<Pair>();
  #carried = 0;
  #farPort: number;

  static async to(port: number, host = '127.0.0.1'): Promise<SilentRelay> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SilentRelay(server, port, host);
  }

  private constructor(server: Server, farPort: number, farHost: string) {
    this.#server = server;
    this.#farPort = farPort;
    const address = server.address();
    if (!isAddress(address)) throw new Error('The relay has no port.');
    this.port = address.port;
    server.on('connection', (near) => {
      const far = connect(this.#farPort, farHost);
      const pair: Pair = { near, far, beginning: '' };
      near.on('data', (chunk: Buffer) => {
        if (pair.beginning.length < NAMED_WITHIN_BYTES) pair.beginning += chunk.toString('latin1');
      });
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

  /** Leads new connections to another port, as an address does that moved; those that stand go on. */
  moveTo(port: number): void {
    this.#farPort = port;
  }

  /**
   * Loses every connection that stands; new ones are carried.
   * @param what - `answers`: what is sent goes on to arrive, and only what comes back is lost
   * @param named - only those that gave themselves a name which ends so, as Redis' clients do
   * @returns how many they were
   */
  lose(what: 'everything' | 'answers' = 'everything', named = ''): number {
    const lost = [...this.#pairs].filter((pair) => pair.beginning.includes(named));
    for (const pair of lost) {
      this.#lost.add(pair);
      pair.far.unpipe(pair.near);
      // Taken, and thrown away.
      pair.far.resume();
      if (what === 'answers') continue;
      pair.near.unpipe(pair.far);
      pair.near.resume();
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
