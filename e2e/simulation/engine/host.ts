import type { TransportId } from '@plenary/cluster';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type { IceChange } from '@plenary/media-node/simulation';
import type { PipeEndPort } from './pipe-port.ts';

/** What packets see of all nodes: which ports are open, and whose transports are waiting for a client. */
export class Ether {
  /** Open ends of pipes by address and port. */
  readonly ports = new Map<string, PipeEndPort>();
  /** What becomes of the ICE of clients' transports that are open. */
  readonly ice = new Map<
    TransportId,
    { readonly host: Host; readonly onChange: (change: IceChange) => void }
  >();

  /** A machine is gone, and nobody told anybody. */
  vanished(host: Host): void {
    for (const [name, port] of this.ports) if (port.router.host === host) this.ports.delete(name);
    for (const [transportId, entry] of this.ice) if (entry.host === host) this.ice.delete(transportId);
  }
}

/** The machine that one life of a media node runs on. */
export class Host {
  readonly net: Net;
  readonly life: Life;
  readonly ether: Ether;
  readonly address: string;
  firstPort = 1;
  #nextId = 0;
  /** When each worker has answered what it was asked so far: it answers in order. */
  readonly #answeredMs: number[] = [];

  constructor(net: Net, life: Life, ether: Ether, address: string) {
    this.net = net;
    this.life = life;
    this.ether = ether;
    this.address = address;
  }

  /** A number that nothing else of this life has. */
  nextNumber(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  idOf(kind: string): string {
    return `${this.life.name.replace('.', '-')}-${kind}${this.nextNumber()}`;
  }

  /** A worker takes a moment to answer. */
  answer(workerIndex: number): Promise<void> {
    const { time, random } = this.net;
    const atMs = Math.max(this.#answeredMs[workerIndex] ?? 0, time.nowMs + random.between(0, 2));
    this.#answeredMs[workerIndex] = atMs;
    return new Promise((resolve) => setTimeout(resolve, atMs - time.nowMs));
  }
}

/** Keeps what lives on something, which takes it along when it closes. */
export class Holdings {
  readonly #closers = new Set<() => void>();

  /** @returns forgets it again */
  add(close: () => void): () => void {
    this.#closers.add(close);
    return () => this.#closers.delete(close);
  }

  closeAll(): void {
    for (const close of [...this.#closers]) close();
    this.#closers.clear();
  }
}
