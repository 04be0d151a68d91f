import type { PeerId } from '@plenary/cluster/protocol';
import type { types } from 'mediasoup-client';
import { entriesOf, numberOf } from './stats-entries.ts';

/** Of a picture that is taken. A screen of 5K fits; this application sends larger ones smaller. */
export const LONGEST_SIDE = 5_120;
export const MOST_PIXELS = 4_096 * 4_096;
const LOOK_EVERY_MS = 250;
/** Consumers whose statistics are asked for in one look, where the browser does not say the size otherwise. */
const ASKED_PER_LOOK = 4;

/** A picture that is received. */
export interface ReceivedPicture {
  readonly peerId: PeerId;
  readonly consumer: Pick<types.Consumer, 'track' | 'closed' | 'getStats'>;
}

export interface LargePicturesEnvironment {
  readonly pictures: () => Iterable<ReceivedPicture>;
  /** This person sends pictures that no browser can bear. */
  readonly tooLarge: (peerId: PeerId) => void;
}

/**
 * Looks at how large the pictures are that come. Two hundred bytes may tell of a picture of 16,383 lines: a browser takes gigabytes
 * and seconds for each, and pictures, sound and buttons of the whole meeting stand still (SPEC MS11).
 */
export class LargePictures {
  readonly #environment: LargePicturesEnvironment;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Where those who are asked for statistics begin in the next look. */
  #firstAsked = 0;

  constructor(environment: LargePicturesEnvironment) {
    this.#environment = environment;
  }

  start(): void {
    this.stop();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const unknown: ReceivedPicture[] = [];
    for (const picture of [...this.#environment.pictures()]) {
      const { width = 0, height = 0 } = picture.consumer.track.getSettings();
      if (width === 0) unknown.push(picture);
      else this.#judge(picture, width, height);
    }
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
    this.#judge(picture, numberOf(entry, 'frameWidth'), numberOf(entry, 'frameHeight'));
  }

  #judge({ peerId, consumer }: ReceivedPicture, width: number, height: number): void {
    if (width * height > MOST_PIXELS && !consumer.closed) this.#environment.tooLarge(peerId);
  }
}
