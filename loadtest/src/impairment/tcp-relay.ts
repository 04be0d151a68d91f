import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { DelayLine } from './delay-line.ts';
import type { Endpoint, Path, RelayCounts } from './impairment.ts';
import { newRelayCounts } from './impairment.ts';

const MAX_CONNECTIONS = 4_096;
/** How many bytes may wait in one direction of a connection; beyond them the sender is not read, as on a full path. */
const MAX_QUEUED_BYTES = 1_048_576;

/**
 * Relays TCP to one target over an impaired path.
 *
 * The kernel answers a SYN by itself, at once, so a client behind the relay believes itself connected a round trip too
 * early. Therefore the first bytes of each direction are held back by the handshake's time: those of the client as if
 * it had sent them one round trip (its SYN and our SYN-ACK) after the accept, those of the target as if it had
 * accepted when the client's ACK arrived. Everything later follows from these.
 */
export class TcpRelay {
  readonly counts: RelayCounts = newRelayCounts();
  readonly #server: Server;
  readonly #target: Endpoint;
  readonly #path: Path;
  readonly #pairs = new Set<() => void>();

  private constructor(server: Server, target: Endpoint, path: Path) {
    this.#server = server;
    this.#target = target;
    this.#path = path;
    server.on('connection', (client) => {
      this.#accept(client);
    });
  }

  static async listen(at: Endpoint, target: Endpoint, path: Path): Promise<TcpRelay> {
    // allowHalfOpen: the end of one direction must travel as the data does, and not end the other direction.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const relay = new TcpRelay(server, target, path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: at.host, port: at.port, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', () => {
      relay.counts.failed += 1;
    });
    return relay;
  }

  get address(): Endpoint {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The relay does not listen.');
    return { host: address.address, port: address.port };
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Breaks every connection, as a cut cable does; new ones are accepted. */
  dropConnections(): void {
    for (const end of [...this.#pairs]) end();
  }

  async close(): Promise<void> {
    this.dropConnections();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.close((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }

  #accept(client: Socket): void {
    if (this.#pairs.size >= MAX_CONNECTIONS) {
      this.counts.overflowed += 1;
      client.destroy();
      return;
    }
    const acceptedMs = performance.now();
    const handshakeMs = this.#path.impairment().delayMs;
    const target = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const lines = [new DelayLine(), new DelayLine()] as const;
    const end = (): void => {
      this.#pairs.delete(end);
      for (const line of lines) line.close();
      client.destroy();
      target.destroy();
    };
    this.#pairs.add(end);
    this.#pump(client, target, lines[0], acceptedMs + 2 * handshakeMs, end);
    this.#pump(target, client, lines[1], acceptedMs + 3 * handshakeMs, end);
  }

  #pump(from: Socket, to: Socket, line: DelayLine, notBeforeMs: number, end: () => void): void {
    const later = (size: number, deliver: () => void): void => {
      const { delayMs, jitterMs } = this.#path.impairment();
      const wait = delayMs + (jitterMs > 0 ? jitterMs * this.#path.random() : 0);
      line.push(size, wait, deliver, notBeforeMs);
    };
    const resumeIfRoom = (): void => {
      if (from.isPaused() && line.queued < MAX_QUEUED_BYTES && !to.writableNeedDrain) from.resume();
    };
    from.on('data', (chunk) => {
      later(chunk.length, () => {
        this.counts.forwarded += 1;
        if (to.writable) to.write(chunk);
        resumeIfRoom();
      });
      if (line.queued >= MAX_QUEUED_BYTES || to.writableNeedDrain) from.pause();
    });
    to.on('drain', resumeIfRoom);
    from.on('end', () => {
      later(0, () => {
        to.end();
      });
    });
    from.on('error', () => {
      this.counts.failed += 1;
    });
    from.on('close', (hadError) => {
      // After an orderly end the other side closes once it has received everything in flight.
      if (hadError || to.destroyed) end();
    });
  }
}
