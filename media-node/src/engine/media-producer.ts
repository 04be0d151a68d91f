import { guardCallback } from '@plenary/cluster';
import type { types } from 'mediasoup';
import type { MediaKind } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { callMediasoup, noteCall } from './calls.ts';
import { PauseSwitch } from './pause-switch.ts';

/** A producer: either at a track's home (`home`), or its copy on another router, fed by a pipe (`piped`). */
export class MediaProducer {
  /** The track's id for a home producer. */
  readonly id: string;
  readonly kind: MediaKind;
  readonly #producer: types.Producer;
  readonly #metrics: NodeMetrics;
  readonly #pause: PauseSwitch;

  /** @param onClosed - called once, whatever the cause; `closed` includes a close by the caller */
  constructor(
    producer: types.Producer,
    use: 'home' | 'piped',
    metrics: NodeMetrics,
    onClosed: (cause: 'closed' | 'transport_closed') => void,
  ) {
    this.id = producer.id;
    this.kind = producer.kind;
    this.#producer = producer;
    this.#metrics = metrics;
    this.#pause = new PauseSwitch(producer.paused, (paused) =>
      callMediasoup(
        metrics,
        paused ? 'producer.pause' : 'producer.resume',
        () => (paused ? producer.pause() : producer.resume()),
        'internal',
        'track_not_found',
      ),
    );
    const gauge = use === 'home' ? metrics.producers : metrics.pipedProducers;
    gauge.inc();
    let cause: 'closed' | 'transport_closed' = 'closed';
    producer.once(
      'transportclose',
      guardCallback('mediasoup', () => {
        cause = 'transport_closed';
      }),
    );
    producer.observer.once(
      'close',
      guardCallback('mediasoup', () => {
        gauge.dec();
        onClosed(cause);
      }),
    );
  }

  get closed(): boolean {
    return this.#producer.closed;
  }

  get paused(): boolean {
    return this.#producer.paused;
  }

  /** Pauses or resumes; the current state costs no call. @throws PlenaryError `media_lost`, `track_not_found` */
  setPaused(paused: boolean): Promise<void> {
    return this.#pause.set(paused);
  }

  close(): void {
    if (this.#producer.closed) return;
    noteCall(this.#metrics, 'producer.close');
    this.#producer.close();
  }
}
