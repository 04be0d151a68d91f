import { Store, type ReadableStore } from '../client/index.ts';
import { captureFor } from './capture.ts';
import { deviceProblem, pagePolicy, type DeviceProblem } from './device-problems.ts';
import { recall, remember, rememberSwitch, wasSwitchedOff } from './preferences.ts';

export const CAPTURE_KINDS = ['microphone', 'camera'] as const;
export type CaptureKind = (typeof CAPTURE_KINDS)[number];

export interface DeviceChoice {
  readonly deviceId: string;
  readonly label: string;
}

export interface CaptureState {
  /** What the person wants: to be heard, or seen. What was switched off stays off until it is switched on. */
  readonly enabled: boolean;
  readonly status: 'off' | 'starting' | 'on' | 'failed';
  readonly track: MediaStreamTrack | undefined;
  /** The system, or a switch on the device, keeps it from giving anything. */
  readonly silenced: boolean;
  readonly deviceId: string | undefined;
  readonly problem: DeviceProblem | undefined;
  readonly choices: readonly DeviceChoice[];
}

export type LocalMediaSnapshot = Readonly<Record<CaptureKind, CaptureState>>;

/** Whether the others hear or see it, as far as it depends on this device. Buttons and tracks go by this alone. */
export function isSending({ enabled, track, silenced }: CaptureState): boolean {
  return enabled && track !== undefined && !silenced;
}

/**
 * Whether the button shows it as on: it sends, or will as soon as the browser or the system gives it. Pressing the button makes it
 * the other.
 */
export function showsOn({ enabled, status }: CaptureState): boolean {
  return enabled && status !== 'failed';
}

function initialState(kind: CaptureKind): CaptureState {
  return {
    enabled: !wasSwitchedOff(kind),
    status: 'off',
    track: undefined,
    silenced: false,
    deviceId: recall(kind),
    problem: undefined,
    choices: [],
  };
}

/**
 * The person's own microphone and camera, before and during the meeting. A muted microphone stays open, so that
 * unmuting loses no syllable; a camera that is off is closed, so that its light goes out. What was off from the start is not
 * opened at all. Every request to the browser has an owner, and what comes after that is gone is stopped.
 */
export class LocalMedia implements ReadableStore<LocalMediaSnapshot> {
  readonly #store = new Store<LocalMediaSnapshot>({
    microphone: initialState('microphone'),
    camera: initialState('camera'),
  });
  /** Of the request that is under way, or of the track that is open. */
  readonly #owners: Record<CaptureKind, AbortController> = {
    microphone: new AbortController(),
    camera: new AbortController(),
  };

  constructor() {
    if (typeof navigator !== 'undefined' && 'mediaDevices' in navigator) {
      navigator.mediaDevices.addEventListener('devicechange', () => void this.#listDevices());
    }
  }

  readonly getSnapshot = (): LocalMediaSnapshot => this.#store.getSnapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#store.subscribe(listener);

  /** Opens the devices that are wanted with one question to the person; what fails is in the snapshot, each on its own. */
  async start(): Promise<void> {
    const wanted = CAPTURE_KINDS.filter((kind) => {
      const { enabled, status } = this.getSnapshot()[kind];
      return enabled && status !== 'starting' && status !== 'on';
    });
    const owners = wanted.map((kind) => ({ kind, owner: this.#begin(kind) }));
    if (!(await this.#openTogether(owners))) {
      // One of the two failed; asking for each alone tells which, and gets the other one.
      for (const { kind, owner } of owners) await this.#open(kind, owner);
    }
    await this.#listDevices();
  }

  /**
   * Sets whether one is heard or seen.
   *
   * @returns why that could not be; `undefined` when it is so, or another wish came meanwhile
   */
  async setEnabled(kind: CaptureKind, enabled: boolean): Promise<DeviceProblem | undefined> {
    rememberSwitch(kind, enabled);
    this.#patch(kind, { enabled });
    const { track, status, silenced } = this.getSnapshot()[kind];
    if (!enabled) {
      // A microphone that is not open yet is not opened any more.
      if (kind === 'camera' || status !== 'on') this.close(kind);
      return undefined;
    }
    if (track?.readyState === 'live') return silenced ? 'silenced' : undefined;
    const problem = await this.#open(kind, this.#begin(kind));
    await this.#listDevices();
    return problem;
  }

  /**
   * Changes the device and remembers the choice. Where the other one cannot be had, the one before goes on.
   *
   * @returns why it could not be had
   */
  async choose(kind: CaptureKind, deviceId: string): Promise<DeviceProblem | undefined> {
    remember(kind, deviceId);
    const { enabled, deviceId: idKnown, track } = this.getSnapshot()[kind];
    // The device that was chosen before may not be open yet.
    const idBefore = track?.getSettings().deviceId ?? idKnown;
    this.#patch(kind, { deviceId });
    if (!enabled) {
      // Not to be captured now; the one that is chosen is opened when it is switched on.
      this.close(kind);
      return undefined;
    }
    const wasOn = track?.readyState === 'live';
    const owner = this.#begin(kind);
    const problem = await this.#open(kind, owner, 'chosen');
    if (problem === undefined || !wasOn || owner.signal.aborted) return problem;
    if (idBefore !== undefined) remember(kind, idBefore);
    this.#patch(kind, { deviceId: idBefore });
    // It had to make way, in vain. A third one is not what the person went on with.
    if (this.getSnapshot()[kind].track === undefined) await this.#open(kind, owner, 'before');
    return problem;
  }

  /** Nobody is to hear or see it, and the person did not ask for that: it stays off all the same. */
  switchOff(kind: CaptureKind): void {
    rememberSwitch(kind, false);
    this.#patch(kind, { enabled: false });
    this.close(kind);
  }

  /** Lets go of a device, and of what the browser is still being asked for. */
  close(kind: CaptureKind): void {
    this.#owners[kind].abort();
    this.getSnapshot()[kind].track?.stop();
    this.#patch(kind, { track: undefined, status: 'off', problem: undefined, silenced: false });
  }

  #begin(kind: CaptureKind): AbortController {
    this.#owners[kind].abort();
    const owner = new AbortController();
    this.#owners[kind] = owner;
    this.#patch(kind, { status: 'starting', problem: undefined });
    return owner;
  }

  /** @returns whether all of them are done with */
  async #openTogether(
    owners: readonly { readonly kind: CaptureKind; readonly owner: AbortController }[],
  ): Promise<boolean> {
    if (owners.length < 2) return false;
    // The request itself belongs to both of them; what it brings, to each on its own.
    const both = new AbortController();
    for (const { owner } of owners) {
      owner.signal.addEventListener('abort', () => {
        if (owners.every((other) => other.owner.signal.aborted)) both.abort();
      });
    }
    try {
      const devices = Object.fromEntries(owners.map(({ kind }) => [kind, this.#constraints(kind, false)]));
      const stream = await captureFor(both.signal, () => ask(devices));
      if (stream !== undefined)
        for (const { kind, owner } of owners) this.#accept(kind, owner, trackOf(stream, kind));
      return true;
    } catch {
      return false;
    }
  }

  async #open(
    kind: CaptureKind,
    owner: AbortController,
    which: Which = 'any',
  ): Promise<DeviceProblem | undefined> {
    const { track: before, deviceId } = this.getSnapshot()[kind];
    try {
      const constraints = this.#constraints(kind, which === 'chosen');
      const stream = await captureFor(owner.signal, () => ask({ [kind]: constraints }));
      if (stream === undefined) return undefined;
      const track = trackOf(stream, kind);
      if (which === 'before' && track?.getSettings().deviceId !== deviceId) {
        track?.stop();
        throw new DOMException('the device is not there', 'NotFoundError');
      }
      this.#accept(kind, owner, track);
      return undefined;
    } catch (thrown) {
      const problem = deviceProblem(thrown, pagePolicy(kind));
      if (problem === 'in-use' && before?.readyState === 'live') {
        // Some systems open one device at a time only: the one before has to go first.
        before.stop();
        this.#patch(kind, { track: undefined });
        return this.#open(kind, owner, which);
      }
      if (before?.readyState === 'live') this.#patch(kind, { status: 'on' });
      else this.#patch(kind, { status: 'failed', problem, track: undefined, silenced: false });
      return problem;
    }
  }

  #accept(kind: CaptureKind, owner: AbortController, track: MediaStreamTrack | undefined): void {
    if (owner.signal.aborted) {
      track?.stop();
      return;
    }
    const { track: previous, deviceId } = this.getSnapshot()[kind];
    if (previous !== track) previous?.stop();
    if (track === undefined) {
      this.#patch(kind, { track: undefined, status: 'failed', problem: 'none' });
      return;
    }
    const isOpen = (): boolean => this.getSnapshot()[kind].track === track;
    track.addEventListener('ended', () => {
      if (!isOpen()) return;
      if (this.getSnapshot()[kind].status === 'starting') {
        // Another one was chosen, and is about to take its place.
        this.#patch(kind, { track: undefined, silenced: false });
        return;
      }
      // Unplugged, or forbidden by now. It comes back when the person switches it on, not when it is plugged in.
      this.switchOff(kind);
      this.#patch(kind, { status: 'failed', problem: 'gone' });
    });
    for (const event of ['mute', 'unmute']) {
      track.addEventListener(event, () => {
        if (isOpen()) this.#patch(kind, { silenced: track.muted });
      });
    }
    this.#patch(kind, {
      track,
      status: 'on',
      problem: undefined,
      silenced: track.muted,
      deviceId: track.getSettings().deviceId ?? deviceId,
    });
  }

  #constraints(kind: CaptureKind, exactly: boolean): MediaTrackConstraints {
    const { deviceId } = this.getSnapshot()[kind];
    return { ...deviceOf(deviceId, exactly), ...QUALITY[kind] };
  }

  /** Handles its own errors: without a list there is nothing to choose from, and the default devices still work. */
  async #listDevices(): Promise<void> {
    if (!('mediaDevices' in navigator)) return;
    try {
      const devices = await navigator.mediaDevices.enumerateDevices();
      for (const kind of CAPTURE_KINDS) {
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

/** `chosen`: that one, and no other; `before`: the one that was in use until now; `any`: where the one of old is gone, another one. */
type Which = 'any' | 'chosen' | 'before';

const QUALITY: Readonly<Record<CaptureKind, MediaTrackConstraints>> = {
  microphone: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  camera: { width: { ideal: 1_280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
};

/** `ideal` falls back where the remembered device is gone; what a person chose is had or not. */
function deviceOf(deviceId: string | undefined, exactly: boolean): MediaTrackConstraints {
  if (deviceId === undefined || deviceId === '') return {};
  return { deviceId: exactly ? { exact: deviceId } : { ideal: deviceId } };
}

function ask({
  microphone,
  camera,
}: Partial<Record<CaptureKind, MediaTrackConstraints>>): Promise<MediaStream> {
  if (typeof navigator === 'undefined' || !('mediaDevices' in navigator)) {
    // As browsers that have no devices to give where the page stands, and those that have none at all.
    return Promise.reject(
      globalThis.isSecureContext
        ? new DOMException('there is no navigator.mediaDevices', 'NotSupportedError')
        : new TypeError('navigator.mediaDevices needs a secure context'),
    );
  }
  return navigator.mediaDevices.getUserMedia({
    ...(microphone === undefined ? {} : { audio: microphone }),
    ...(camera === undefined ? {} : { video: camera }),
  });
}

function trackOf(stream: MediaStream, kind: CaptureKind): MediaStreamTrack | undefined {
  return (kind === 'microphone' ? stream.getAudioTracks() : stream.getVideoTracks())[0];
}
