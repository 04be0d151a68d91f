import type { types } from 'mediasoup';
import { PlenaryError, TRACK_ID, entry } from '@plenary/cluster';
import type { TrackId } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { callMediasoup } from './calls.ts';
import type { MediaProducer } from './media-producer.ts';

/**
 * How often a router's volumes are compared, in milliseconds. mediasoup passes over a track with fewer than ten packets
 * in an interval, and one word with the browser's pause for silence after it (DTX) is some fifteen of 20 ms: a shorter
 * interval splits words into halves of which neither counts.
 */
export const SPEAKER_INTERVAL_MS = 400;
/**
 * What is not louder is silence, in dBov. mediasoup compares the mean over the interval's packets, and the gaps within
 * speech pull that down: words at −30 with −100 between them half of the time are −65.
 */
const THRESHOLD_DBOV = -70;
/** Loudest tracks that one router names. */
const MAX_ENTRIES = 8;

export interface TrackVolume {
  readonly trackId: TrackId;
  /** −127 (silence) to 0 (RFC 6464). */
  readonly volumeDbov: number;
}

/** Hears who is loud among the home microphones of one router. */
export class SpeakerObserver {
  readonly #observer: types.AudioLevelObserver;
  readonly #metrics: NodeMetrics;

  private constructor(observer: types.AudioLevelObserver, metrics: NodeMetrics) {
    this.#observer = observer;
    this.#metrics = metrics;
  }

  /**
   * @param onVolumes - called each interval in which anybody is heard, and once with nobody when silence begins
   * @throws PlenaryError `media_lost` when the router closed meanwhile
   */
  static async create(
    router: types.Router,
    metrics: NodeMetrics,
    onVolumes: (volumes: readonly TrackVolume[]) => void,
  ): Promise<SpeakerObserver> {
    const observer = await callMediasoup(metrics, 'router.createAudioLevelObserver', () =>
      router.createAudioLevelObserver({
        maxEntries: MAX_ENTRIES,
        threshold: THRESHOLD_DBOV,
        interval: SPEAKER_INTERVAL_MS,
      }),
    );
    metrics.observers.inc();
    observer.observer.once(
      'close',
      entry('mediasoup', () => {
        metrics.observers.dec();
      }),
    );
    observer.on(
      'volumes',
      entry('mediasoup', (volumes) => {
        onVolumes(
          volumes.map(({ producer, volume }) => ({
            trackId: TRACK_ID.parse(producer.id),
            volumeDbov: volume,
          })),
        );
      }),
    );
    observer.on(
      'silence',
      entry('mediasoup', () => {
        onVolumes([]);
      }),
    );
    // What was being made while the router closed is not among what mediasoup closes with it.
    if (router.closed) {
      observer.close();
      throw new PlenaryError('media_lost');
    }
    return new SpeakerObserver(observer, metrics);
  }

  /** Adds a microphone; a closed producer leaves by itself. @throws PlenaryError `media_lost`, `track_not_found` */
  async add(producer: MediaProducer): Promise<void> {
    if (producer.closed) return;
    await callMediasoup(
      this.#metrics,
      'observer.addProducer',
      () => this.#observer.addProducer({ producerId: producer.id }),
      'internal',
      'track_not_found',
    );
  }
}
