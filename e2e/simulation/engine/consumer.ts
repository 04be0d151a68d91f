import { CONSUMER_ID, PlenaryError } from '@plenary/cluster';
import type { ConsumerId, MediaKind, RtpParameters } from '@plenary/cluster';
import { PauseSwitch } from '@plenary/media-node/simulation';
import type { ConsumerEvents } from '@plenary/media-node/simulation';
import type { ConsumerPart, ProducerPart, RouterPart } from './host.ts';

/** Sends a router's track to a client or into a pipe. */
export class SimulatedConsumer implements ConsumerPart {
  readonly id: ConsumerId;
  readonly kind: MediaKind;
  readonly rtpParameters: RtpParameters;
  readonly producer: ProducerPart;
  readonly router: RouterPart;
  readonly #on: ConsumerEvents;
  readonly #onGone: () => void;
  readonly #pause: PauseSwitch;
  paused: boolean;
  producerPaused: boolean;
  closed = false;

  constructor(
    router: RouterPart,
    producer: ProducerPart,
    paused: boolean,
    on: ConsumerEvents,
    onGone: () => void,
  ) {
    this.id = CONSUMER_ID.parse(router.host.idOf('c'));
    this.kind = producer.kind;
    this.rtpParameters = producer.rtpParameters;
    this.producer = producer;
    this.paused = paused;
    this.producerPaused = producer.paused;
    this.router = router;
    this.#on = on;
    this.#onGone = onGone;
    this.#pause = new PauseSwitch(paused, async (wanted) => {
      await this.#answer();
      this.paused = wanted;
    });
    producer.consumers.add(this);
  }

  setPaused(paused: boolean): Promise<void> {
    return this.#pause.set(paused);
  }

  setPreferredLayers(): Promise<void> {
    return this.#answer();
  }

  setPriority(): Promise<void> {
    return this.#answer();
  }

  producerPausedIs(paused: boolean): void {
    this.producerPaused = paused;
    this.#on.producerPaused?.(paused);
  }

  close(cause: 'closed' | 'producer_closed' = 'closed'): void {
    if (this.closed) return;
    this.closed = true;
    this.producer.consumers.delete(this);
    this.#onGone();
    this.#on.closed(cause);
  }

  async #answer(): Promise<void> {
    await this.router.answer();
    if (this.closed) throw new PlenaryError('media_lost');
  }
}
