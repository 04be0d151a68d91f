/** What the parts of an engine in memory stand on, and how they see each other. */
import type { MediaKind, RtpParameters, TransportId } from '@plenary/cluster';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type { ConsumerEvents, IceChange, MediaConsumer, MediaProducer } from '@plenary/media-node/simulation';

/** What packets see of all nodes: which ports are open, and whose transports are waiting for a client. */
export class Ether {
  /** Open ends of pipes by address and port. */
  readonly ports = new Map<string, PortPart>();
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

/** Where the packets of a track on a router come from: its publisher, or a pipe. */
export type Origin = { readonly kind: 'home' } | { readonly kind: 'pipe'; readonly port: string };

/** A track that is to be on a router. */
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
  /** The track that this is, or is a copy of. */
  readonly trackId: string;
  readonly rtpParameters: RtpParameters;
  readonly origin: Origin;
  readonly consumers: Set<ConsumerPart>;
  close(cause?: 'closed' | 'transport_closed'): void;
}

/** Where a track on a router is sent to. */
export interface ConsumerPart extends MediaConsumer {
  readonly router: RouterPart;
  readonly producer: ProducerPart;
  producerPausedIs(paused: boolean): void;
  close(cause?: 'closed' | 'producer_closed'): void;
}

/** An open end of a pipe. */
export interface PortPart {
  readonly router: RouterPart;
  /** What is sent into it, by track. */
  readonly sent: ReadonlyMap<string, ConsumerPart>;
  /** Where its packets go. */
  readonly peer: string | undefined;
}
