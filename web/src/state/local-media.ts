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
  /** Whether the person switched it on. Once switched off it stays off until the person switches it on. */
  readonly enabled: boolean;
  readonly status: 'off' | 'starting' | 'on' | 'failed';
  readonly track: MediaStreamTrack | undefined;
  /** The system, or a switch on the device, mutes it. */
  readonly silenced: boolean;
  readonly deviceId: string | undefined;
  readonly problem: DeviceProblem | undefined;
  readonly choices: readonly DeviceChoice[];
}

export type LocalMediaSnapshot = Readonly<Record<CaptureKind, CaptureState>>;

/** Whether the device sends, as far as it depends on this page. Tracks use this alone. */
export function isSending({ enabled, track, silenced }: CaptureState): boolean {
  return enabled && track !== undefined && !silenced;
}

/**
 * Whether the button shows the device as on: it sends, or will when the browser or the system allows it. Pressing the button switches to
 * the opposite.
 */
export function appearsOn({ enabled, status }: CaptureState): boolean {
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
 * The person's microphone and camera, before and during the meeting. A muted microphone stays open, so that unmuting loses no syllable. A
 * camera that is off is closed, so that its light goes out. A device that is off from the start is not opened. Every request to the
 * browser has an owner; a track that arrives after its owner was aborted is stopped.
 */
export class LocalMedia implements ReadableStore<LocalMediaSnapshot> {
  readonly #store = new Store<LocalMediaSnapshot>({
    microphone: initialState('microphone'),
    camera: initialState('camera'),
  });
  /** The owner of the pending request, or of the open track. */
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

  /** Opens the enabled devices with one permission prompt. The snapshot shows the failure of each. */
  async start(): Promise<void> {
    const wanted = CAPTURE_KINDS.filter((kind) => {
      const { enabled, status } = this.getSnapshot()[kind];
      return enabled && status !== 'starting' && status !== 'on';
    });
    const owners = wanted.map((kind) => ({ kind, owner: this.#begin(kind) }));
    if (!(await this.#openTogether(owners))) {
      // One of the two failed. Separate requests show which one, and open the other.
      for (const { kind, owner } of owners) await this.#open(kind, owner);
    }
    await this.#listDevices();
  }

  /**
   * Switches a device on or off.
   *
   * @returns why the device could not be switched on; `undefined` after success, or when a newer request came meanwhile
   */
  async setEnabled(kind: CaptureKind, enabled: boolean): Promise<DeviceProblem | undefined> {
    rememberSwitch(kind, enabled);
    this.#patch(kind, { enabled });
    const { track, status, silenced } = this.getSnapshot()[kind];
    if (!enabled) {
      // The pending request of a microphone is cancelled too.
      if (kind === 'camera' || status !== 'on') this.close(kind);
      return undefined;
    }
    if (track?.readyState === 'live') return silenced ? 'silenced' : undefined;
    const problem = await this.#open(kind, this.#begin(kind));
    await this.#listDevices();
    return problem;
  }

  /**
   * Changes the device and remembers the choice. If the chosen device cannot be opened, the previous one goes on.
   *
   * @returns why the chosen device could not be opened
   */
  async choose(kind: CaptureKind, deviceId: string): Promise<DeviceProblem | undefined> {
    remember(kind, deviceId);
    const { enabled, deviceId: chosenId, track } = this.getSnapshot()[kind];
    // The previously chosen device may not be open yet.
    const previousId = track?.getSettings().deviceId ?? chosenId;
    this.#patch(kind, { deviceId });
    if (!enabled) {
      // The device is off now; the chosen one is opened when the person switches it on.
      this.close(kind);
      return undefined;
    }
    const wasOn = track?.readyState === 'live';
    const owner = this.#begin(kind);
    const problem = await this.#open(kind, owner, 'chosen');
    if (problem === undefined || !wasOn || owner.signal.aborted) return problem;
    if (previousId !== undefined) remember(kind, previousId);
    this.#patch(kind, { deviceId: previousId });
    // The previous device was closed to free the way, in vain. It is reopened, and no third device in its place.
    if (this.getSnapshot()[kind].track === undefined) await this.#open(kind, owner, 'before');
    return problem;
  }

  /** Switches a device off without the person's request. It stays off until the person switches it on. */
  switchOff(kind: CaptureKind): void {
    rememberSwitch(kind, false);
    this.#patch(kind, { enabled: false });
    this.close(kind);
  }

  /** Releases a device, and cancels its pending request. */
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

  /** @returns whether one request settled all of them */
  async #openTogether(
    owners: readonly { readonly kind: CaptureKind; readonly owner: AbortController }[],
  ): Promise<boolean> {
    if (owners.length < 2) return false;
    // Both own the request: it is cancelled when both are aborted. Each owns only its own track.
    const both = new AbortController();
    for (const { owner } of owners) {
      owner.signal.addEventListener('abort', () => {
        if (owners.every((other) => other.owner.signal.aborted)) both.abort();
      });
    }
    try {
      const devices = Object.fromEntries(owners.map(({ kind }) => [kind, this.#constraints(kind, false)]));
      const stream = await captureFor(both.signal, () => requestDevices(devices));
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
    which: DeviceSelection = 'any',
  ): Promise<DeviceProblem | undefined> {
    const { track: before, deviceId } = this.getSnapshot()[kind];
    try {
      const constraints = this.#constraints(kind, which === 'chosen');
      const stream = await captureFor(owner.signal, () => requestDevices({ [kind]: constraints }));
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
        // Some systems open only one device at a time: the previous one is closed first.
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
        // Another device was chosen and is about to replace it.
        this.#patch(kind, { track: undefined, silenced: false });
        return;
      }
      // The device was unplugged or blocked. It is reopened when the person switches it on, not when it is plugged in.
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
    return { ...deviceConstraint(deviceId, exactly), ...QUALITY[kind] };
  }

  /** Handles its own errors: without a list there is no choice, and the default devices still work. */
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

/** `chosen`: only the chosen device; `before`: only the device that was used until now; `any`: another one if the remembered is missing. */
type DeviceSelection = 'any' | 'chosen' | 'before';

const QUALITY: Readonly<Record<CaptureKind, MediaTrackConstraints>> = {
  microphone: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  camera: { width: { ideal: 1_280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } },
};

/** `ideal` falls back when the remembered device is missing; a device that the person chose must match exactly. */
function deviceConstraint(deviceId: string | undefined, exactly: boolean): MediaTrackConstraints {
  if (deviceId === undefined || deviceId === '') return {};
  return { deviceId: exactly ? { exact: deviceId } : { ideal: deviceId } };
}

function requestDevices({
  microphone,
  camera,
}: Partial<Record<CaptureKind, MediaTrackConstraints>>): Promise<MediaStream> {
  if (typeof navigator === 'undefined' || !('mediaDevices' in navigator)) {
    // The same errors that browsers throw: for a context without devices, and for an insecure one.
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
