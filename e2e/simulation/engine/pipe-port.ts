import { PlenaryError } from '@plenary/cluster';
import type { PipeEnd, TrackId } from '@plenary/cluster';
import type { PipePort } from '@plenary/media-node/simulation';
import type { SimulatedConsumer } from './consumer.ts';
import { Holdings } from './host.ts';
import type { SimulatedProducer } from './producer.ts';
import type { SimulatedRouter } from './router.ts';

/** One end of a pipe: what is sent into it, and what comes out. */
export class PipeEndPort implements PipePort {
  readonly end: PipeEnd;
  readonly router: SimulatedRouter;
  /** The tracks that are sent into it. */
  readonly sent = new Map<TrackId, SimulatedConsumer>();
  readonly name: string;
  readonly #held = new Holdings();
  readonly #onClosed: () => void;
  /** Where its packets go. */
  peer: string | undefined;
  closed = false;

  constructor(router: SimulatedRouter, srtp: boolean, onClosed: () => void) {
    const { host } = router;
    this.router = router;
    this.#onClosed = onClosed;
    this.end = {
      // Of this life: a packet for a former one finds nobody.
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

  async produce(...request: Parameters<PipePort['produce']>): Promise<SimulatedProducer> {
    const [{ trackId, kind, rtpParameters, paused }, onClosed] = request;
    await this.#answer();
    const producer = this.router.produce({
      trackId,
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

  async consume(...request: Parameters<PipePort['consume']>): Promise<SimulatedConsumer> {
    const [trackId, on] = request;
    await this.#answer();
    const consumer: SimulatedConsumer = this.router.consume(trackId, false, on, () => {
      forget();
      if (this.sent.get(trackId) === consumer) this.sent.delete(trackId);
    });
    const forget = this.#held.add(() => {
      consumer.close();
    });
    this.sent.set(trackId, consumer);
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
