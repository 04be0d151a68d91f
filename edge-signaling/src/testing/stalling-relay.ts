import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

/** Carries connections to an edge, and can stop taking what the edge sends, as a client does that hangs. */
export class StallingRelay {
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly client: Socket; readonly edge: Socket }>();

  static async to(edgeUrl: string): Promise<StallingRelay> {
    const { hostname, port } = new URL(edgeUrl);
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new StallingRelay(server, Number(port), hostname);
  }

  private constructor(server: Server, edgePort: number, edgeHost: string) {
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The relay has no port.');
    this.url = `http://127.0.0.1:${address.port}`;
    server.on('connection', (client) => {
      const edge = connect(edgePort, edgeHost);
      this.#pairs.add({ client, edge });
      // Whoever is reset: the other side is told by the end of its connection.
      client.on('error', () => edge.destroy());
      edge.on('error', () => client.destroy());
      edge.on('close', () => client.destroy());
      client.on('close', () => edge.destroy());
      client.pipe(edge);
      edge.pipe(client);
    });
  }

  /** From now on nothing is read of what the edge sends; what the client sends goes on. */
  stall(): void {
    for (const { client, edge } of this.#pairs) {
      edge.unpipe(client);
      edge.pause();
    }
  }

  close(): void {
    this.#server.close();
    for (const { client, edge } of this.#pairs) {
      client.destroy();
      edge.destroy();
    }
  }
}
