/** The base of the in-memory engine's parts, and the interfaces by which they know each other. */
import type { MediaKind, RtpParameters, TransportId } from '@plenary/cluster';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type { ConsumerEvents, IceChange, MediaConsumer, MediaProducer } from '@plenary/media-node/simulation';

/** The network as packets see it: the open ports, and the transports that await a client. */
export class Ether {
  /** Open pipe ends by address and port. */
  readonly ports = new Map<string, PortPart>();
  /** Clients' open transports, with the callback for their ICE changes. */
  readonly ice = new Map<
    TransportId,
    { readonly host: Host; readonly onChange: (change: IceChange) => void }
  >();

  /** A machine disappears without notice. */
  remove(host: Host): void {
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
  /** When each worker will have answered its last request, because it answers in order. */
  readonly #answeredAtMs: number[] = [];

  constructor(net: Net, life: Life, ether: Ether, address: string) {
    this.net = net;
    this.life = life;
    this.ether = ether;
    this.address = address;
  }

  /** A number that is unique in this life. */
  nextNumber(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  idOf(kind: string): string {
    return `${this.life.name.replace('.', '-')}-${kind}${this.nextNumber()}`;
  }

  /** Waits as long as the worker takes to answer. */
  answer(workerIndex: number): Promise<void> {
    const { time, random } = this.net;
    const atMs = Math.max(this.#answeredAtMs[workerIndex] ?? 0, time.nowMs + random.between(0, 2));
    this.#answeredAtMs[workerIndex] = atMs;
    return new Promise((resolve) => setTimeout(resolve, atMs - time.nowMs));
  }
}

/** The children of a part, which are closed with it. */
export class Holdings {
  readonly #closers = new Set<() => void>();

  /** @returns a function that removes the child again */
  add(close: () => void): () => void {
    this.#closers.add(close);
    return () => this.#closers.delete(close);
  }

  closeAll(): void {
    for (const close of [...this.#closers]) close();
    this.#closers.clear();
  }
}

/** Where a router's track comes from: its publisher, or a pipe. */
export type Origin = { readonly kind: 'home' } | { readonly kind: 'pipe'; readonly port: string };

/** A track to be produced on a router. */
export interface NewTrack {
  readonly producerId: string;
  readonly kind: MediaKind;
  readonly rtpParameters: RtpParameters;
  readonly paused: boolean;
  readonly origin: Origin;
  readonly onClosed: (cause: 'closed' | 'transport_closed') => void;
}

/** A room's router on one worker. */
export interface RouterPart {
  readonly host: Host;
  readonly held: Holdings;
  readonly producers: Map<string, ProducerPart>;
  answer(): Promise<void>;
  produce(track: NewTrack): ProducerPart;
  consume(producerId: string, paused: boolean, on: ConsumerEvents, onGone: () => void): ConsumerPart;
}

/** A track on a router. */
export interface ProducerPart extends MediaProducer {
  /** The original track's id, also on copies. */
  readonly trackId: string;
  readonly rtpParameters: RtpParameters;
  readonly origin: Origin;
  readonly consumers: Set<ConsumerPart>;
  close(cause?: 'closed' | 'transport_closed'): void;
}

/** Sends a router's track to a client or into a pipe. */
export interface ConsumerPart extends MediaConsumer {
  readonly router: RouterPart;
  readonly producer: ProducerPart;
  producerPausedIs(paused: boolean): void;
  close(cause?: 'closed' | 'producer_closed'): void;
}

/** An open end of a pipe. */
export interface PortPart {
  readonly router: RouterPart;
  /** The consumers that send into it, by track. */
  readonly sent: ReadonlyMap<string, ConsumerPart>;
  /** The name of the port that receives its packets. */
  readonly peer: string | undefined;
}
