import type { WantedLayer } from '@plenary/cluster/protocol';
import type { Turns } from '@plenary/cluster/turns';
import type { types } from 'mediasoup-client';
import type { ClientLog } from './counters.ts';

/** Has a producer send no simulcast layer above those that are wanted. What is sent beyond need costs bandwidth, and nothing else. */
export class SentLayers {
  readonly #changes: Turns<types.Producer>;
  readonly #log: ClientLog;
  #producer: types.Producer | undefined;
  /** The highest layer that the producer was told to send; absent: all. */
  #highest: number | undefined;

  /** @param changes - of each producer, one after the other (see `Publication`) */
  constructor(changes: Turns<types.Producer>, log: ClientLog) {
    this.#changes = changes;
    this.#log = log;
  }

  /** @param wanted - `undefined` where it was not told what is wanted */
  apply(producer: types.Producer, wanted: WantedLayer | undefined): void {
    if (this.#producer !== producer) this.#highest = undefined;
    this.#producer = producer;
    const layers = producer.rtpParameters.encodings?.length ?? 0;
    if (producer.closed || layers < 2 || wanted === undefined) return;
    // While nobody watches the lowest layer goes on, so that who looks next sees something at once.
    const highest = Math.min(wanted ?? 0, layers - 1);
    // Not the producer's own `maxSpatialLayer`: that follows only once the browser has answered.
    if (highest === (this.#highest ?? layers - 1)) return;
    this.#highest = highest;
    this.#changes
      .run(producer, () => producer.setMaxSpatialLayer(highest))
      .catch((thrown: unknown) => {
        if (!producer.closed) this.#log.warn('the layers could not be changed', thrown);
      });
  }
}
