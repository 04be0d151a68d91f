/** A fake of the browser's devices, screens and storage. A test answers its permission prompts at any time. */
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

/** The device that a request names, else the default one. */
function deviceOf(constraints: MediaStreamConstraints['audio']): string {
  const { deviceId } = typeof constraints === 'object' ? constraints : {};
  const named =
    typeof deviceId === 'object' && !Array.isArray(deviceId) ? (deviceId.exact ?? deviceId.ideal) : deviceId;
  return typeof named === 'string' ? named : 'usual';
}

/** `closed`: not accessible, as in frames of other sites; `full`: read-only. */
type StorageState = 'open' | 'closed' | 'full';

class FakeStorage {
  readonly #values = new Map<string, string>();
  state: StorageState = 'open';

  copy(): FakeStorage {
    const copy = new FakeStorage();
    for (const [key, value] of this.#values) copy.#values.set(key, value);
    return copy;
  }

  getItem(key: string): string | null {
    if (this.state === 'closed') throw new Error('SecurityError');
    return this.#values.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (this.state !== 'open') throw new Error('QuotaExceededError');
    this.#values.set(key, value);
  }
}

/** A permission prompt, with the requested devices. */
export interface Question {
  readonly kinds: readonly ('audio' | 'video')[];
  readonly constraints: MediaStreamConstraints;
  /** The person allows it. With `deviceId` the browser returns that device instead of the requested one. */
  allow(deviceId?: string): void;
  refuse(name: string): void;
}

export class FakeBrowser {
  readonly questions: Question[] = [];
  /** All tracks that were captured so far. */
  readonly tracks: FakeMediaStreamTrack[] = [];
  readonly #local = new FakeStorage();
  #ofTab = new FakeStorage();
  /** The locks that are held. */
  readonly #locks: { readonly name: string }[] = [];

  /** Replaces the browser's globals. */
  install(): void {
    const capture = (constraints: MediaStreamConstraints): Promise<FakeStream> => this.#ask(constraints);
    vi.stubGlobal('navigator', {
      mediaDevices: {
        addEventListener: () => undefined,
        enumerateDevices: () => Promise.resolve([]),
        getUserMedia: capture,
        getDisplayMedia: capture,
      },
      locks: {
        request: (name: string, _options: object, held: () => Promise<void>) => {
          const lock = { name };
          this.#locks.push(lock);
          return held().then(() => this.#locks.splice(this.#locks.indexOf(lock), 1));
        },
        query: () => Promise.resolve({ held: [...this.#locks] }),
      },
    });
    vi.stubGlobal('localStorage', this.#local);
    vi.stubGlobal('sessionStorage', this.#ofTab);
  }

  /** Runs a function in another tab of this browser. */
  inAnotherTab(work: () => void): void {
    vi.stubGlobal('sessionStorage', new FakeStorage());
    work();
    vi.stubGlobal('sessionStorage', this.#ofTab);
  }

  /** Continues in a duplicate of this tab. */
  duplicateTab(): void {
    this.#ofTab = this.#ofTab.copy();
    vi.stubGlobal('sessionStorage', this.#ofTab);
  }

  spoilStorage(state: StorageState): void {
    for (const storage of [this.#local, this.#ofTab]) storage.state = state;
  }

  /** Makes the page count as reloaded. */
  reload(): void {
    vi.stubGlobal('performance', {
      now: () => performance.now(),
      getEntriesByType: () => [{ type: 'reload' }],
    });
  }

  get live(): readonly FakeMediaStreamTrack[] {
    return this.tracks.filter(({ readyState }) => readyState === 'live');
  }

  /** The latest prompt. */
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
      allow: (deviceId) => {
        const tracks = kinds.map(
          (kind) =>
            new FakeMediaStreamTrack({
              kind,
              settings: { deviceId: deviceId ?? deviceOf(constraints[kind]) },
            }),
        );
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
