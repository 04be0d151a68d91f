import type { EdgeNotice, PeerId } from '@plenary/cluster/protocol';
import { hear, speakersNow, type HeardByNode } from './speakers.ts';

const TICK_MS = 300;

/** Reports the current speakers. A mark also expires without a notice. */
export class SpeakerBoard {
  readonly #changed: (speakers: readonly PeerId[]) => void;
  #heard: HeardByNode = new Map();
  #shown: readonly PeerId[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(changed: (speakers: readonly PeerId[]) => void) {
    this.#changed = changed;
  }

  hear(notice: EdgeNotice<'speakers'>): void {
    this.#heard = hear(this.#heard, notice, performance.now());
    this.#show();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#heard = new Map();
    this.#shown = [];
  }

  #show(): void {
    const speakers = speakersNow(this.#heard, performance.now());
    const same =
      speakers.length === this.#shown.length &&
      speakers.every((peerId, index) => peerId === this.#shown[index]);
    if (!same) {
      this.#shown = speakers;
      this.#changed(speakers);
    }
    clearTimeout(this.#timer);
    // While somebody is marked, the timer lets the mark expire.
    this.#timer = speakers.length === 0 ? undefined : setTimeout(() => this.#show(), TICK_MS);
  }
}
