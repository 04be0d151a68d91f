import { Store, type ReadableStore } from '../client/index.ts';
import { deviceProblem, type DeviceProblem } from './device-problems.ts';
import { recall, remember } from './preferences.ts';

export type CaptureKind = 'microphone' | 'camera';

export interface DeviceChoice {
  readonly deviceId: string;
  readonly label: string;
}

export interface CaptureState {
  /** What the person asked for: heard, or seen. */
  readonly enabled: boolean;
  readonly status: 'off' | 'starting' | 'on' | 'failed';
  readonly track: MediaStreamTrack | undefined;
  readonly deviceId: string | undefined;
  readonly problem: DeviceProblem | undefined;
  readonly choices: readonly DeviceChoice[];
}

export type LocalMediaSnapshot = Readonly<Record<CaptureKind, CaptureState>>;

const KINDS: readonly CaptureKind[] = ['microphone', 'camera'];

function initialState(kind: CaptureKind): CaptureState {
  return {
    enabled: true,
    status: 'off',
    track: undefined,
    deviceId: recall(kind),
    problem: undefined,
    choices: [],
  };
}

/**
 * The person's own microphone and camera, before and during the meeting. A muted microphone stays open, so that
 * unmuting loses no syllable; a camera that is off is closed, so that its light goes out.
 */
export class LocalMedia implements ReadableStore<LocalMediaSnapshot> {
  readonly #store = new Store<LocalMediaSnapshot>({
    microphone: initialState('microphone'),
    camera: initialState('camera'),
  });
  /** Grows with each start and stop of a kind; an answer of the browser to an older one is thrown away. */
  readonly #turns: Record<CaptureKind, number> = { microphone: 0, camera: 0 };

  constructor() {
    if (typeof navigator !== 'undefined' && 'mediaDevices' in navigator) {
      navigator.mediaDevices.addEventListener('devicechange', () => void this.#listDevices());
    }
  }

  readonly getSnapshot = (): LocalMediaSnapshot => this.#store.getSnapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#store.subscribe(listener);

  /** Opens both devices with one question to the person; what fails is in the snapshot, each on its own. */
  async start(): Promise<void> {
    const wanted = KINDS.filter((kind) => kind === 'microphone' || this.getSnapshot()[kind].enabled);
    const turns = new Map(wanted.map((kind) => [kind, this.#begin(kind)]));
    if (wanted.length === 2) {
      try {
        const stream = await capture({
          microphone: this.#deviceId('microphone'),
          camera: this.#deviceId('camera'),
        });
        for (const kind of KINDS) this.#accept(kind, turns.get(kind), trackOf(stream, kind));
        await this.#listDevices();
        return;
      } catch {
        // One of the two failed; asking for each alone tells which, and gets the other one.
      }
    }
    for (const kind of wanted) await this.#open(kind, turns.get(kind) ?? 0);
    await this.#listDevices();
  }

  /** Sets whether one is heard or seen. Gives the track to send, or undefined when there is none. */
  async setEnabled(kind: CaptureKind, enabled: boolean): Promise<MediaStreamTrack | undefined> {
    this.#patch(kind, { enabled });
    if (!enabled) {
      if (kind === 'camera') this.close('camera');
      return undefined;
    }
    const { track } = this.getSnapshot()[kind];
    if (track?.readyState === 'live') return track;
    await this.#open(kind, this.#begin(kind));
    await this.#listDevices();
    return this.getSnapshot()[kind].track;
  }

  /** Changes the device and remembers the choice. Gives the new track, or undefined when it could not be had. */
  async choose(kind: CaptureKind, deviceId: string): Promise<MediaStreamTrack | undefined> {
    remember(kind, deviceId);
    this.#patch(kind, { deviceId });
    if (kind === 'camera' && !this.getSnapshot().camera.enabled) return undefined;
    await this.#open(kind, this.#begin(kind));
    return this.getSnapshot()[kind].track;
  }

  /** Settles when a device that is being opened is open, has failed, or was let go; at once when none is. */
  untilSettled(kind: CaptureKind): Promise<void> {
    return new Promise((resolve) => {
      const settled = (): boolean => this.getSnapshot()[kind].status !== 'starting';
      if (settled()) {
        resolve();
        return;
      }
      const stop = this.#store.subscribe(() => {
        if (!settled()) return;
        stop();
        resolve();
      });
    });
  }

  /** Lets go of a device. */
  close(kind: CaptureKind): void {
    this.#turns[kind] += 1;
    this.getSnapshot()[kind].track?.stop();
    this.#patch(kind, { track: undefined, status: 'off', problem: undefined });
  }

  #begin(kind: CaptureKind): number {
    this.#turns[kind] += 1;
    this.#patch(kind, { status: 'starting', problem: undefined });
    return this.#turns[kind];
  }

  async #open(kind: CaptureKind, turn: number): Promise<void> {
    try {
      const stream = await capture({ [kind]: this.#deviceId(kind) });
      this.#accept(kind, turn, trackOf(stream, kind));
    } catch (thrown) {
      if (turn !== this.#turns[kind]) return;
      this.getSnapshot()[kind].track?.stop();
      this.#patch(kind, { status: 'failed', problem: deviceProblem(thrown), track: undefined });
    }
  }

  #accept(kind: CaptureKind, turn: number | undefined, track: MediaStreamTrack | undefined): void {
    if (turn !== this.#turns[kind] || track === undefined) {
      track?.stop();
      return;
    }
    const { track: previous, deviceId } = this.getSnapshot()[kind];
    if (previous !== track) previous?.stop();
    track.addEventListener('ended', () => {
      if (this.getSnapshot()[kind].track !== track) return;
      this.#patch(kind, { track: undefined, status: 'failed', problem: 'none', enabled: false });
    });
    this.#patch(kind, {
      track,
      status: 'on',
      problem: undefined,
      deviceId: track.getSettings().deviceId ?? deviceId,
    });
  }

  #deviceId(kind: CaptureKind): string {
    return this.getSnapshot()[kind].deviceId ?? '';
  }

  /** Handles its own errors: without a list there is nothing to choose from, and the default devices still work. */
  async #listDevices(): Promise<void> {
    try {
      const devices = await navigator.mediaDevices.enumerateDevices();
      for (const kind of KINDS) {
        const wanted = kind === 'microphone' ? 'audioinput' : 'videoinput';
        const choices = devices
          .filter((device) => device.kind === wanted && device.deviceId !== '')
          .map(({ deviceId, label }, index) => ({
            deviceId,
            label: label === '' ? `${kind === 'microphone' ? 'Microphone' : 'Camera'} ${index + 1}` : label,
          }));
        this.#patch(kind, { choices });
      }
    } catch (thrown) {
      console.warn('plenary: devices could not be listed', thrown);
    }
  }

  #patch(kind: CaptureKind, change: Partial<CaptureState>): void {
    this.#store.update((snapshot) => ({ ...snapshot, [kind]: { ...snapshot[kind], ...change } }));
  }
}

/** Asks the browser; `''` stands for any device. `ideal` falls back where the remembered device is gone. */
function capture(wanted: Partial<Record<CaptureKind, string>>): Promise<MediaStream> {
  const { microphone, camera } = wanted;
  const device = (deviceId: string): MediaTrackConstraints =>
    deviceId === '' ? {} : { deviceId: { ideal: deviceId } };
  const constraints: MediaStreamConstraints = {};
  if (microphone !== undefined) {
    constraints.audio = {
      ...device(microphone),
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    };
  }
  if (camera !== undefined) {
    constraints.video = {
      ...device(camera),
      width: { ideal: 1_280 },
      height: { ideal: 720 },
      frameRate: { ideal: 30, max: 30 },
    };
  }
  if (typeof navigator === 'undefined' || !('mediaDevices' in navigator)) {
    return Promise.reject(new TypeError('navigator.mediaDevices needs a secure context'));
  }
  return navigator.mediaDevices.getUserMedia(constraints);
}

function trackOf(stream: MediaStream, kind: CaptureKind): MediaStreamTrack | undefined {
  return (kind === 'microphone' ? stream.getAudioTracks() : stream.getVideoTracks())[0];
}
