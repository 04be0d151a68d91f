/** The part of a browser that gives devices, screens and storage; a test answers its questions when it likes. */
import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { vi } from 'vitest';

class FakeStream {
  readonly #tracks: readonly FakeMediaStreamTrack[];

  constructor(tracks: readonly FakeMediaStreamTrack[]) {
    this.#tracks = tracks;
  }

  getTracks(): readonly FakeMediaStreamTrack[] {
    return this.#tracks;
  }

  getAudioTracks(): readonly FakeMediaStreamTrack[] {
    return this.#tracks.filter(({ kind }) => kind === 'audio');
  }

  getVideoTracks(): readonly FakeMediaStreamTrack[] {
    return this.#tracks.filter(({ kind }) => kind === 'video');
  }
}

class FakeStorage {
  readonly #values = new Map<string, string>();

  getItem(key: string): string | null {
    return this.#values.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.#values.set(key, value);
  }
}

/** A question to the person, and what it asks for. */
export interface Question {
  readonly kinds: readonly ('audio' | 'video')[];
  readonly constraints: MediaStreamConstraints;
  /** The person allows it. */
  allow(): void;
  refuse(name: string): void;
}

export class FakeBrowser {
  readonly questions: Question[] = [];
  /** All that was ever captured. */
  readonly tracks: FakeMediaStreamTrack[] = [];

  /** Puts it in the place of the globals of a browser. */
  install(): void {
    const capture = (constraints: MediaStreamConstraints): Promise<FakeStream> => this.#ask(constraints);
    vi.stubGlobal('navigator', {
      mediaDevices: {
        addEventListener: () => undefined,
        enumerateDevices: () => Promise.resolve([]),
        getUserMedia: capture,
        getDisplayMedia: capture,
      },
    });
    vi.stubGlobal('localStorage', new FakeStorage());
    vi.stubGlobal('sessionStorage', new FakeStorage());
  }

  get live(): readonly FakeMediaStreamTrack[] {
    return this.tracks.filter(({ readyState }) => readyState === 'live');
  }

  /** The question that is asked last. */
  get question(): Question {
    const question = this.questions.at(-1);
    if (question === undefined) throw new Error('nothing was asked');
    return question;
  }

  #ask(constraints: MediaStreamConstraints): Promise<FakeStream> {
    const kinds = (['audio', 'video'] as const).filter((kind) => constraints[kind] !== undefined);
    const { promise, resolve, reject } = Promise.withResolvers<FakeStream>();
    this.questions.push({
      kinds,
      constraints,
      allow: () => {
        const tracks = kinds.map((kind) => new FakeMediaStreamTrack({ kind }));
        this.tracks.push(...tracks);
        resolve(new FakeStream(tracks));
      },
      refuse: (name) => {
        reject(Object.assign(new Error(name), { name }));
      },
    });
    return promise;
  }
}
