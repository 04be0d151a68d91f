import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { DelayLine } from './delay-line.ts';
import type { Endpoint, Path, RelayCounts } from './impairment.ts';
import { newRelayCounts } from './impairment.ts';
import { travel } from './travel.ts';

/** How many clients one relay has at a time; further clients lose their packets, which is counted. */
const MAX_FLOWS = 4_096;
/** A client that was silent for this long is forgotten, in milliseconds. ICE sends something every few seconds. */
const IDLE_MS = 60_000;
const SWEEP_MS = 10_000;

interface Flow {
  readonly client: RemoteInfo;
  /** The target sees this port as the client's, so that replies find their way back. */
  readonly upstream: Socket;
  readonly up: DelayLine;
  readonly down: DelayLine;
  lastSeenMs: number;
}

/** Relays UDP between any number of clients and one target, over an impaired path. */
export class UdpRelay {
  readonly counts: RelayCounts = newRelayCounts();
  readonly #target: Endpoint;
  readonly #path: Path;
  readonly #socket: Socket;
  readonly #flows = new Map<string, Flow>();
  readonly #sweep: NodeJS.Timeout;
  #closed = false;

  private constructor(socket: Socket, target: Endpoint, path: Path) {
    this.#socket = socket;
    this.#target = target;
    this.#path = path;
    socket.on('message', (packet, client) => {
      this.#fromClient(packet, client);
    });
    socket.on('error', () => {
      this.counts.failed += 1;
    });
    this.#sweep = setInterval(() => {
      this.#forgetIdle();
    }, SWEEP_MS);
    this.#sweep.unref();
  }

  static async listen(at: Endpoint, target: Endpoint, path: Path): Promise<UdpRelay> {
    const socket = createSocket(isIPv6(at.host) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return new UdpRelay(socket, target, path);
  }

  get address(): Endpoint {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  /** Clients that are remembered. */
  get flows(): number {
    return this.#flows.size;
  }

  /** Sends each client's next packet from another port, as an address translator does that lost its table. */
  rebind(): void {
    for (const key of [...this.#flows.keys()]) this.#forget(key);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweep);
    for (const key of [...this.#flows.keys()]) this.#forget(key);
    await new Promise<void>((resolve) => {
      this.#socket.close(() => {
        resolve();
      });
    });
  }

  #fromClient(packet: Buffer, client: RemoteInfo): void {
    const flow = this.#flowOf(client);
    if (flow === undefined) {
      this.counts.overflowed += 1;
      return;
    }
    flow.lastSeenMs = performance.now();
    const { port, host } = this.#target;
    travel(this.#path, this.counts, flow.up, packet, () => {
      flow.upstream.send(packet, port, host, this.#sent);
      this.#path.onDelivered?.('up', packet);
    });
  }

  readonly #sent = (error: Error | null): void => {
    if (error === null) this.counts.forwarded += 1;
    else this.counts.failed += 1;
  };

  #flowOf(client: RemoteInfo): Flow | undefined {
    const key = `${client.address} ${client.port}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    if (this.#closed || this.#flows.size >= MAX_FLOWS) return undefined;
    const upstream = createSocket(isIPv6(this.#target.host) ? 'udp6' : 'udp4');
    const flow: Flow = {
      client,
      upstream,
      up: new DelayLine(),
      down: new DelayLine(),
      lastSeenMs: performance.now(),
    };
    upstream.on('message', (packet, sender) => {
      // Only the target's own answers; the socket is open to all of this machine.
      if (sender.port !== this.#target.port) return;
      flow.lastSeenMs = performance.now();
      travel(this.#path, this.counts, flow.down, packet, () => {
        this.#socket.send(packet, client.port, client.address, this.#sent);
        this.#path.onDelivered?.('down', packet);
      });
    });
    upstream.on('error', () => {
      this.counts.failed += 1;
    });
    this.#flows.set(key, flow);
    return flow;
  }

  #forgetIdle(): void {
    const oldest = performance.now() - IDLE_MS;
    for (const [key, flow] of [...this.#flows]) if (flow.lastSeenMs < oldest) this.#forget(key);
  }

  #forget(key: string): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    this.#flows.delete(key);
    flow.up.close();
    flow.down.close();
    flow.upstream.close();
  }
}
