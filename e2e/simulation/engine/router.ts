import { PlenaryError, ROUTER_ID } from '@plenary/cluster';
import type { RouterId } from '@plenary/cluster';
import type { ConsumerEvents, RoomRouter } from '@plenary/media-node/simulation';
import { SimulatedTransport } from './client-transport.ts';
import { SimulatedConsumer } from './consumer.ts';
import { Holdings } from './host.ts';
import { SimulatedPipeTransport } from './pipe-transport.ts';
import { SimulatedProducer } from './producer.ts';
import type { Host, NewTrack, ProducerPart, RouterPart } from './host.ts';

/** A room's router on one worker, in memory: its transports, producers and consumers, but no packets. */
export class SimulatedRouter implements RoomRouter, RouterPart {
  readonly id: RouterId;
  readonly workerIndex: number;
  readonly host: Host;
  readonly producers = new Map<string, ProducerPart>();
  readonly held = new Holdings();
  readonly #onClosed: (router: SimulatedRouter) => void;
  closed = false;

  constructor(host: Host, workerIndex: number, onClosed: (router: SimulatedRouter) => void) {
    this.id = ROUTER_ID.parse(host.idOf('r'));
    this.workerIndex = workerIndex;
    this.host = host;
    this.#onClosed = onClosed;
  }

  answer(): Promise<void> {
    return this.host.answer(this.workerIndex);
  }

  async createClientTransport(
    ...request: Parameters<RoomRouter['createClientTransport']>
  ): Promise<SimulatedTransport> {
    const [onIceChange] = request;
    await this.#ensureOpen();
    return new SimulatedTransport(this, onIceChange);
  }

  async createPipeTransport(
    ...request: Parameters<RoomRouter['createPipeTransport']>
  ): Promise<SimulatedPipeTransport> {
    const [{ srtp }, onClosed] = request;
    await this.#ensureOpen();
    return new SimulatedPipeTransport(this, srtp, onClosed);
  }

  observeSpeaker(): Promise<void> {
    return this.#ensureOpen();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.held.closeAll();
    this.#onClosed(this);
  }

  /** @throws PlenaryError `invalid_media_parameters` as mediasoup: a router has one producer of an id */
  produce(track: NewTrack): SimulatedProducer {
    if (this.closed || this.producers.has(track.producerId))
      throw new PlenaryError('invalid_media_parameters');
    return new SimulatedProducer({ router: this, ...track });
  }

  /** @throws PlenaryError `cannot_consume` */
  consume(producerId: string, paused: boolean, on: ConsumerEvents, onGone: () => void): SimulatedConsumer {
    const producer = this.producers.get(producerId);
    if (this.closed || producer === undefined) throw new PlenaryError('cannot_consume');
    return new SimulatedConsumer(this, producer, paused, on, onGone);
  }

  async #ensureOpen(): Promise<void> {
    await this.answer();
    if (this.closed) throw new PlenaryError('media_lost');
  }
}
