import type { WantedLayer } from '@plenary/cluster/protocol';
import type { Turns } from '@plenary/cluster/turns';
import type { types } from 'mediasoup-client';
import type { ClientLog } from './counters.ts';

/** Limits a producer to the simulcast layers that viewers want. A layer too many costs only bandwidth, so failures are only logged. */
export class SentLayers {
  readonly #changes: Turns<types.Producer>;
  readonly #log: ClientLog;
  #producer: types.Producer | undefined;
  /** The highest layer that the producer was set to send; `undefined` for all. */
  #highest: number | undefined;

  /** @param changes - runs the changes of each producer one after another (see `Publication`) */
  constructor(changes: Turns<types.Producer>, log: ClientLog) {
    this.#changes = changes;
    this.#log = log;
  }

  /** @param demand - `undefined` before the edge has announced any */
  apply(producer: types.Producer, demand: WantedLayer | undefined): void {
    if (this.#producer !== producer) this.#highest = undefined;
    this.#producer = producer;
    const layers = producer.rtpParameters.encodings?.length ?? 0;
    if (producer.closed || layers < 2 || demand === undefined) return;
    // Without viewers the lowest layer goes on, so that the next viewer sees a picture at once.
    const highest = Math.min(demand ?? 0, layers - 1);
    // Not the producer's `maxSpatialLayer`, which is updated only after the browser has answered.
    if (highest === (this.#highest ?? layers - 1)) return;
    this.#highest = highest;
    this.#changes
      .run(producer, () => producer.setMaxSpatialLayer(highest))
      .catch((thrown: unknown) => {
        if (!producer.closed) this.#log.warn('the sent layers could not be changed', thrown);
      });
  }
}
