import type { types } from 'mediasoup';
import { PlenaryError, TRACK_ID, guardCallback } from '@plenary/cluster';
import type { TrackId } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import { callMediasoup } from './calls.ts';
import type { MediaProducer } from './media-producer.ts';

/**
 * How often a router's volumes are compared, in milliseconds. mediasoup skips a track with fewer than ten packets in
 * an interval, and one word followed by the browser's pause for silence (DTX) is some fifteen packets of 20 ms: a
 * shorter interval would split words into halves that both do not count.
 */
export const SPEAKER_INTERVAL_MS = 400;
/**
 * Volumes that are not above this count as silence, in dBov. mediasoup compares the mean over the interval's packets,
 * and gaps within speech lower it: words at −30 with −100 between them half of the time are −65.
 */
const THRESHOLD_DBOV = -70;
/** Maximum number of tracks that one router reports, the loudest first. */
const MAX_ENTRIES = 8;

export interface TrackVolume {
  readonly trackId: TrackId;
  /** −127 (silence) to 0 (RFC 6464). */
  readonly volumeDbov: number;
}

/** Observes the volumes of the home microphones of one router. */
export class SpeakerObserver {
  readonly #observer: types.AudioLevelObserver;
  readonly #metrics: NodeMetrics;

  private constructor(observer: types.AudioLevelObserver, metrics: NodeMetrics) {
    this.#observer = observer;
    this.#metrics = metrics;
  }

  /**
   * @param onVolumes - called each interval in which anybody speaks, and once with no entry when silence begins
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
      guardCallback('mediasoup', () => {
        metrics.observers.dec();
      }),
    );
    observer.on(
      'volumes',
      guardCallback('mediasoup', (volumes) => {
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
      guardCallback('mediasoup', () => {
        onVolumes([]);
      }),
    );
    // mediasoup does not close an observer that was being created while its router closed.
    if (router.closed) {
      observer.close();
      throw new PlenaryError('media_lost');
    }
    return new SpeakerObserver(observer, metrics);
  }

  /** Adds a microphone; mediasoup removes a closed producer. @throws PlenaryError `media_lost`, `track_not_found` */
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
