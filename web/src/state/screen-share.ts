import { LARGEST_SCREEN, type Meeting } from '../client/index.ts';
import { captureFor } from './capture.ts';

/** As large as a page takes from others (`LargePictures`); larger screens are sent smaller. */
const SCREEN = {
  frameRate: { max: 15 },
  width: { max: LARGEST_SCREEN.width },
  height: { max: LARGEST_SCREEN.height },
};

/** A screen of one's own, from the browser's chooser to its end. */
export class ScreenShare {
  readonly #meeting: Pick<Meeting, 'publish' | 'unpublish'>;
  /** Of the chooser that is open, or of the screen that is shared. */
  #owner: AbortController | undefined;
  #tracks: readonly MediaStreamTrack[] = [];

  constructor(meeting: Pick<Meeting, 'publish' | 'unpublish'>) {
    this.#meeting = meeting;
  }

  /**
   * Has the person choose a screen, and shares it. A choice that is made after {@link stop} shares nothing.
   *
   * @throws what the browser refused with
   */
  async start(): Promise<void> {
    if (this.#owner !== undefined) return;
    const owner = new AbortController();
    this.#owner = owner;
    try {
      const stream = await captureFor(owner.signal, () =>
        navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: true }),
      );
      if (stream === undefined) return;
      this.#tracks = stream.getTracks();
      const [video] = stream.getVideoTracks();
      const [audio] = stream.getAudioTracks();
      if (video === undefined) throw new TypeError('the browser gave a screen without a picture');
      await Promise.all([
        this.#meeting.publish('screen', video),
        ...(audio === undefined ? [] : [this.#meeting.publish('screen-audio', audio)]),
      ]);
    } catch (thrown) {
      if (this.#owner === owner) this.stop();
      throw thrown;
    }
  }

  /** Shares the picture alone from now on: a sound that nobody gets is not captured either. */
  stopSound(): void {
    this.#meeting.unpublish('screen-audio');
    for (const track of this.#tracks) if (track.kind === 'audio') track.stop();
  }

  /** Ends the sharing, and what is still being chosen. */
  stop(): void {
    this.#owner?.abort();
    this.#owner = undefined;
    this.#meeting.unpublish('screen');
    this.#meeting.unpublish('screen-audio');
    for (const track of this.#tracks) track.stop();
    this.#tracks = [];
  }
}
