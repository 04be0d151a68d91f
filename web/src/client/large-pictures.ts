import type { PeerId, TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { PictureFault } from './refused-pictures.ts';
import { entriesOf, numberOf } from './stats-entries.ts';

/** Largest accepted screen: 5K fits. This application captures larger screens at a smaller size. */
export const LARGEST_SCREEN = { width: 5_120, height: 3_200 } as const;
/** Most pixels of one video, in either orientation. */
const MAX_PIXELS = {
  camera: 4_096 * 2_304,
  screen: LARGEST_SCREEN.width * LARGEST_SCREEN.height,
} as const;
/** Most pixels of all videos together: eight of 4K, or 32 cameras of 1,080 lines, which some clients send to everybody. */
const MAX_PIXELS_TOGETHER = 8 * 3_840 * 2_160;
const PICTURE_CHECK_INTERVAL_MS = 250;
/** Consumers whose statistics are read in one check, when the browser does not report the size of the track. */
const STATS_PER_CHECK = 4;

/** A received video. */
export interface ReceivedPicture {
  readonly trackId: TrackId;
  readonly peerId: PeerId;
  readonly source: TrackSource;
  readonly consumer: Pick<types.Consumer, 'track' | 'closed' | 'getStats'>;
  /** Whether it is to replace a video that still plays. It counts towards the total only after that. */
  readonly isToReplace: boolean;
}

export interface LargePicturesEnvironment {
  readonly pictures: () => Iterable<ReceivedPicture>;
  /** Called for a video that is too large for a browser, or the largest when all together are. The owner unsubscribes it. */
  readonly tooLarge: (picture: ReceivedPicture, fault: PictureFault) => void;
}

/**
 * Checks the size of received videos. Two hundred bytes can announce a frame of 16,383 lines: a browser needs gigabytes and seconds for
 * each such frame, and video, audio and buttons of the whole meeting freeze (SPEC MS11).
 */
export class LargePictures {
  readonly #environment: LargePicturesEnvironment;
  readonly #pixels = new WeakMap<ReceivedPicture['consumer'], number>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Index of the first consumer whose statistics the next check reads. */
  #nextUnknown = 0;

  constructor(environment: LargePicturesEnvironment) {
    this.#environment = environment;
  }

  start(): void {
    this.stop();
    this.#timer = setInterval(() => this.#check(), PICTURE_CHECK_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const unknown: ReceivedPicture[] = [];
    for (const picture of [...this.#environment.pictures()]) {
      const { width = 0, height = 0 } = picture.consumer.track.getSettings();
      if (width === 0) unknown.push(picture);
      else this.#checkSize(picture, width * height);
    }
    this.#checkTotal();
    // Firefox does not report the size of a remote track.
    for (let count = 0; count < Math.min(STATS_PER_CHECK, unknown.length); count += 1) {
      const picture = unknown[(this.#nextUnknown + count) % unknown.length];
      if (picture !== undefined) void this.#readSize(picture);
    }
    this.#nextUnknown = (this.#nextUnknown + STATS_PER_CHECK) % Math.max(1, unknown.length);
  }

  /** Never rejects: a video of unknown size is accepted. */
  async #readSize(picture: ReceivedPicture): Promise<void> {
    const entries = await entriesOf(picture.consumer).catch(() => []);
    const entry = entries.find(({ type }) => type === 'inbound-rtp');
    this.#checkSize(picture, numberOf(entry, 'frameWidth') * numberOf(entry, 'frameHeight'));
    this.#checkTotal();
  }

  #checkSize(picture: ReceivedPicture, pixels: number): void {
    this.#pixels.set(picture.consumer, pixels);
    const most = picture.source === 'screen' ? MAX_PIXELS.screen : MAX_PIXELS.camera;
    if (pixels > most && !picture.consumer.closed) this.#environment.tooLarge(picture, 'alone');
  }

  #checkTotal(): void {
    const sized = [...this.#environment.pictures()]
      .filter(({ isToReplace }) => !isToReplace)
      .map((picture) => ({ picture, pixels: this.#pixels.get(picture.consumer) ?? 0 }));
    let together = sized.reduce((sum, { pixels }) => sum + pixels, 0);
    // Among equal sizes the newest goes first.
    for (const { picture, pixels } of sized.reverse().sort((left, right) => right.pixels - left.pixels)) {
      if (together <= MAX_PIXELS_TOGETHER) return;
      together -= pixels;
      this.#environment.tooLarge(picture, 'together');
    }
  }
}
