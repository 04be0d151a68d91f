import { PlenaryError } from '@plenary/cluster';
import type { PipeEnd } from '@plenary/cluster';
import type { PipeTransport } from '@plenary/media-node/simulation';
import { Holdings } from './host.ts';
import type { ConsumerPart, PortPart, ProducerPart, RouterPart } from './host.ts';

/** One end of a pipe: the consumers that send into it, and the producers that come out of it. */
export class SimulatedPipeTransport implements PipeTransport, PortPart {
  readonly end: PipeEnd;
  readonly router: RouterPart;
  /** The consumers that send into it, by track. */
  readonly sent = new Map<string, ConsumerPart>();
  readonly name: string;
  readonly #held = new Holdings();
  readonly #onClosed: () => void;
  /** The name of the port that receives its packets. */
  peer: string | undefined;
  closed = false;

  constructor(router: RouterPart, srtp: boolean, onClosed: () => void) {
    const { host } = router;
    this.router = router;
    this.#onClosed = onClosed;
    this.end = {
      // The address names this life, so a packet for a previous life reaches no port.
      address: host.life.name,
      port: 1_024 + (host.nextNumber() % 60_000),
      ...(srtp ? { srtpParameters: { cryptoSuite: 'AEAD_AES_256_GCM', keyBase64: 'AAAA' } } : {}),
    };
    this.name = nameOf(this.end);
    host.ether.ports.set(this.name, this);
    router.held.add(this.close);
  }

  async connect(end: PipeEnd): Promise<void> {
    await this.#answer();
    this.peer = nameOf(end);
  }

  async produce(...request: Parameters<PipeTransport['produce']>): Promise<ProducerPart> {
    const [{ producerId, kind, rtpParameters, paused }, onClosed] = request;
    await this.#answer();
    const producer = this.router.produce({
      producerId,
      kind,
      rtpParameters,
      paused,
      origin: { kind: 'pipe', port: this.name },
      onClosed: () => {
        forget();
        onClosed();
      },
    });
    const forget = this.#held.add(() => {
      producer.close('transport_closed');
    });
    return producer;
  }

  async consume(...request: Parameters<PipeTransport['consume']>): Promise<ConsumerPart> {
    const [producerId, on] = request;
    await this.#answer();
    const consumer: ConsumerPart = this.router.consume(producerId, false, on, () => {
      forget();
      const { trackId } = consumer.producer;
      if (this.sent.get(trackId) === consumer) this.sent.delete(trackId);
    });
    const forget = this.#held.add(() => {
      consumer.close();
    });
    this.sent.set(consumer.producer.trackId, consumer);
    return consumer;
  }

  traffic(): Promise<{ sentBytes: number; receivedBytes: number }> {
    return Promise.resolve({ sentBytes: 0, receivedBytes: 0 });
  }

  readonly close = (): void => {
    if (this.closed) return;
    this.closed = true;
    this.router.host.ether.ports.delete(this.name);
    this.#held.closeAll();
    this.#onClosed();
  };

  async #answer(): Promise<void> {
    await this.router.answer();
    if (this.closed) throw new PlenaryError('media_lost');
  }
}

const nameOf = ({ address, port }: PipeEnd): string => `${address}:${port}`;
