import { PlenaryError } from '@plenary/cluster';
import type { MediaKind, RtpParameters } from '@plenary/cluster';
import { PauseSwitch } from '@plenary/media-node/simulation';
import type { ConsumerPart, NewTrack, Origin, ProducerPart, RouterPart } from './host.ts';

export interface ProducerOptions extends NewTrack {
  readonly router: RouterPart;
}

/** A track on a router; copies of one track that arrive by different paths have different ids. */
export class SimulatedProducer implements ProducerPart {
  readonly id: string;
  /** The original track's id, also on copies. */
  readonly trackId: string;
  readonly kind: MediaKind;
  readonly rtpParameters: RtpParameters;
  readonly origin: Origin;
  readonly consumers = new Set<ConsumerPart>();
  readonly #options: ProducerOptions;
  readonly #pause: PauseSwitch;
  paused: boolean;
  closed = false;

  constructor(options: ProducerOptions) {
    const { router, producerId, kind, rtpParameters, paused, origin } = options;
    this.#options = options;
    this.id = producerId;
    this.trackId = producerId.split('@')[0] ?? producerId;
    this.kind = kind;
    this.rtpParameters = rtpParameters;
    this.paused = paused;
    this.origin = origin;
    this.#pause = new PauseSwitch(paused, async (wanted) => {
      await router.answer();
      if (this.closed) throw new PlenaryError('media_lost');
      this.paused = wanted;
      for (const consumer of [...this.consumers]) consumer.producerPausedIs(wanted);
    });
    router.producers.set(producerId, this);
  }

  setPaused(paused: boolean): Promise<void> {
    return this.#pause.set(paused);
  }

  close(cause: 'closed' | 'transport_closed' = 'closed'): void {
    if (this.closed) return;
    this.closed = true;
    this.#options.router.producers.delete(this.id);
    this.#options.onClosed(cause);
    // The worker reports its consumers' end a moment later.
    const consumers = [...this.consumers];
    void this.#options.router.answer().then(() => {
      for (const consumer of consumers) consumer.close('producer_closed');
    });
  }
}
