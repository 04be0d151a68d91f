import { LARGEST_SCREEN, type Meeting } from '../client/index.ts';
import { captureFor } from './capture.ts';

/** The largest screen that clients accept (`LargePictures`). Larger screens are captured at a smaller size. */
const SCREEN = {
  frameRate: { max: 15 },
  width: { max: LARGEST_SCREEN.width },
  height: { max: LARGEST_SCREEN.height },
};

/** The own shared screen, from the browser's chooser to its end. */
export class ScreenShare {
  readonly #meeting: Pick<Meeting, 'publish' | 'unpublish'>;
  /** The owner of the open chooser, or of the shared screen. */
  #owner: AbortController | undefined;
  #tracks: readonly MediaStreamTrack[] = [];

  constructor(meeting: Pick<Meeting, 'publish' | 'unpublish'>) {
    this.#meeting = meeting;
  }

  /**
   * Lets the person choose a screen, and shares it. A choice after {@link stop} shares nothing.
   *
   * @throws the browser's refusal
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

  /** Stops sharing and capturing the audio of the screen. The video goes on. */
  stopSound(): void {
    this.#meeting.unpublish('screen-audio');
    for (const track of this.#tracks) if (track.kind === 'audio') track.stop();
  }

  /** Ends the sharing, or cancels a pending choice. */
  stop(): void {
    this.#owner?.abort();
    this.#owner = undefined;
    this.#meeting.unpublish('screen');
    this.#meeting.unpublish('screen-audio');
    for (const track of this.#tracks) track.stop();
    this.#tracks = [];
  }
}
