import type { PeerId, TrackId, TrackSource } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import type { PictureFault } from './refused-pictures.ts';
import { entriesOf, numberOf } from './stats-entries.ts';

/** Of a screen that is taken: one of 5K fits. A larger one is captured smaller by this application. */
export const LARGEST_SCREEN = { width: 5_120, height: 3_200 } as const;
/** Of one picture, whichever way it lies. */
const MOST_PIXELS = {
  camera: 4_096 * 2_304,
  screen: LARGEST_SCREEN.width * LARGEST_SCREEN.height,
} as const;
/** Of all pictures together: eight of 4K, or 32 cameras of 1,080 lines, which some clients send to everybody. */
const MOST_PIXELS_TOGETHER = 8 * 3_840 * 2_160;
const LOOK_EVERY_MS = 250;
/** Consumers whose statistics are asked for in one look, where the browser does not say the size otherwise. */
const ASKED_PER_LOOK = 4;

/** A picture that is received. */
export interface ReceivedPicture {
  readonly trackId: TrackId;
  readonly peerId: PeerId;
  readonly source: TrackSource;
  readonly consumer: Pick<types.Consumer, 'track' | 'closed' | 'getStats'>;
  /** It is to replace another one that plays on, and counts among all of them only once it has. */
  readonly isToReplace: boolean;
}

export interface LargePicturesEnvironment {
  readonly pictures: () => Iterable<ReceivedPicture>;
  /** No browser can bear this picture, or all of them together, of which this is the largest. It is to be let go of. */
  readonly tooLarge: (picture: ReceivedPicture, fault: PictureFault) => void;
}

/**
 * Looks at how large the pictures are that come. Two hundred bytes may tell of a picture of 16,383 lines: a browser takes gigabytes
 * and seconds for each, and pictures, sound and buttons of the whole meeting stand still (SPEC MS11).
 */
export class LargePictures {
  readonly #environment: LargePicturesEnvironment;
  readonly #pixels = new WeakMap<ReceivedPicture['consumer'], number>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Where those who are asked for statistics begin in the next look. */
  #firstAsked = 0;

  constructor(environment: LargePicturesEnvironment) {
    this.#environment = environment;
  }

  start(): void {
    this.stop();
    this.#timer = setInterval(() => this.#check(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const unknown: ReceivedPicture[] = [];
    for (const picture of [...this.#environment.pictures()]) {
      const { width = 0, height = 0 } = picture.consumer.track.getSettings();
      if (width === 0) unknown.push(picture);
      else this.#judge(picture, width * height);
    }
    this.#judgeAll();
    // Firefox does not tell the size of what comes from elsewhere.
    for (let count = 0; count < Math.min(ASKED_PER_LOOK, unknown.length); count += 1) {
      const picture = unknown[(this.#firstAsked + count) % unknown.length];
      if (picture !== undefined) void this.#ask(picture);
    }
    this.#firstAsked = (this.#firstAsked + ASKED_PER_LOOK) % Math.max(1, unknown.length);
  }

  /** Never rejects: a picture whose size the browser cannot tell is taken. */
  async #ask(picture: ReceivedPicture): Promise<void> {
    const entries = await entriesOf(picture.consumer).catch(() => []);
    const entry = entries.find(({ type }) => type === 'inbound-rtp');
    this.#judge(picture, numberOf(entry, 'frameWidth') * numberOf(entry, 'frameHeight'));
    this.#judgeAll();
  }

  #judge(picture: ReceivedPicture, pixels: number): void {
    this.#pixels.set(picture.consumer, pixels);
    const most = picture.source === 'screen' ? MOST_PIXELS.screen : MOST_PIXELS.camera;
    if (pixels > most && !picture.consumer.closed) this.#environment.tooLarge(picture, 'alone');
  }

  #judgeAll(): void {
    const sized = [...this.#environment.pictures()]
      .filter(({ isToReplace }) => !isToReplace)
      .map((picture) => ({ picture, pixels: this.#pixels.get(picture.consumer) ?? 0 }));
    let together = sized.reduce((sum, { pixels }) => sum + pixels, 0);
    // Of equal ones the newest goes first.
    for (const { picture, pixels } of sized.reverse().sort((left, right) => right.pixels - left.pixels)) {
      if (together <= MOST_PIXELS_TOGETHER) return;
      together -= pixels;
      this.#environment.tooLarge(picture, 'together');
    }
  }
}
