import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import { DISPLAY_NAME } from '@plenary/cluster/protocol';
import {
  Store,
  createMeeting,
  errorForPeople,
  isActive,
  type Meeting,
  type SignallingPort,
} from '../client/index.ts';
import { deviceProblem, explainProblem } from './device-problems.ts';
import { LocalMedia, type CaptureKind } from './local-media.ts';
import { recall, remember } from './preferences.ts';
import type { Route } from './route.ts';
import { TokenSource } from './token-source.ts';

export type Panel = 'none' | 'people' | 'chat';

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly tone: 'info' | 'problem';
}

/** State of the screen that is no state of the meeting. */
export interface UiState {
  readonly displayName: string;
  /** Before the meeting, or back there after its end. */
  readonly atDoor: boolean;
  readonly panel: Panel;
  readonly unreadChat: number;
  readonly toasts: readonly Toast[];
  /** The browser refused to play sound before the person clicked somewhere. */
  readonly soundBlocked: boolean;
}

const TOAST_MS = 5_000;
const MOST_TOASTS = 3;
const PREFETCH_DELAY_MS = 300;

export interface RoomControllerOptions {
  readonly signalling?: SignallingPort;
}

/** Everything the pages of one room can do. Components call it and draw its stores; they decide nothing. */
export class RoomController {
  readonly route: Extract<Route, { page: 'room' }>;
  readonly meeting: Meeting;
  readonly media = new LocalMedia();
  readonly ui = new Store<UiState>({
    displayName: recall('displayName') ?? '',
    atDoor: true,
    panel: 'none',
    unreadChat: 0,
    toasts: [],
    soundBlocked: false,
  });
  readonly #tokens: TokenSource;
  #prefetchTimer: ReturnType<typeof setTimeout> | undefined;
  #nextToastId = 1;
  #screenTracks: readonly MediaStreamTrack[] = [];

  constructor(route: Extract<Route, { page: 'room' }>, options: RoomControllerOptions = {}) {
    this.route = route;
    this.#tokens = new TokenSource(route);
    this.meeting = createMeeting({
      edgeUrls: [globalThis.location.origin],
      roomId: route.roomId,
      ...(route.token === undefined ? {} : { token: route.token }),
      getToken: (request) => this.#tokens.get(this.#name(), request),
      ...(options.signalling === undefined ? {} : { signalling: options.signalling }),
    });
    this.#listen();
  }

  /** Warms up: devices, certificate, socket, token. Nothing of it is a precondition of joining. */
  start(): void {
    this.meeting.prepare().catch((thrown: unknown) => {
      this.#problem('This browser cannot take part in video meetings.', thrown);
    });
    this.#ask(this.media.start());
    if (this.canJoin) this.#prefetchToken();
  }

  get canJoin(): boolean {
    return DISPLAY_NAME.safeParse(this.ui.getSnapshot().displayName).success;
  }

  setDisplayName(displayName: string): void {
    this.#patch({ displayName });
    clearTimeout(this.#prefetchTimer);
    if (this.canJoin) this.#prefetchTimer = setTimeout(() => this.#prefetchToken(), PREFETCH_DELAY_MS);
  }

  /**
   * Joins at once, with the devices that are open; one that the browser is still opening follows when it is there. Works
   * without any. What goes wrong is in the meeting's snapshot.
   */
  join(): void {
    if (!this.canJoin) return;
    this.#patch({ atDoor: false });
    clearTimeout(this.#prefetchTimer);
    remember('displayName', this.#name());
    this.meeting.setDisplayName(this.#name());
    for (const kind of ['microphone', 'camera'] as const) this.#publishCaptured(kind);
    // The failure is drawn from the meeting's state; here it would only be said twice.
    this.meeting.join().catch(() => undefined);
  }

  leave(): void {
    this.#ask(this.meeting.leave());
  }

  /** Shows the pre-join page again, after leaving or a failure. */
  returnToDoor(): void {
    this.#patch({ atDoor: true });
    this.start();
  }

  /** Mutes or unmutes, or switches the camera; before the meeting it sets how one will enter. */
  toggle(kind: CaptureKind): void {
    const { enabled, status } = this.media.getSnapshot()[kind];
    // What failed counts as off: pressing the button tries the device again, and says why when it fails again.
    const isOn = enabled && (status === 'on' || status === 'starting');
    this.#ask(this.#setEnabled(kind, !isOn));
  }

  chooseDevice(kind: CaptureKind, deviceId: string): void {
    this.#ask(this.#choose(kind, deviceId));
  }

  /** Begins or ends sharing the screen. */
  toggleScreen(): void {
    if (this.meeting.getSnapshot().localTracks.has('screen')) this.#stopScreen();
    else this.#ask(this.#shareScreen());
  }

  togglePanel(panel: Exclude<Panel, 'none'>): void {
    const next = this.ui.getSnapshot().panel === panel ? 'none' : panel;
    this.#patch({ panel: next, ...(next === 'chat' ? { unreadChat: 0 } : {}) });
  }

  closePanel(): void {
    this.#patch({ panel: 'none' });
  }

  setSoundBlocked(soundBlocked: boolean): void {
    if (this.ui.getSnapshot().soundBlocked !== soundBlocked) this.#patch({ soundBlocked });
  }

  /** Loads one more page of the people list. */
  loadMorePeople(): void {
    this.#ask(this.meeting.loadMoreRoster());
  }

  async copyLink(): Promise<void> {
    const link = new URL(`/r/${this.route.roomId}`, globalThis.location.origin).href;
    try {
      await navigator.clipboard.writeText(link);
      this.toast('Link copied. Send it to whoever should come.');
    } catch {
      // No clipboard outside of secure contexts: the link is shown instead, to be copied by hand.
      this.toast(link);
    }
  }

  toast(text: string, tone: Toast['tone'] = 'info'): void {
    const id = this.#nextToastId;
    this.#nextToastId += 1;
    this.ui.update((state) => ({
      ...state,
      toasts: [...state.toasts, { id, text, tone }].slice(-MOST_TOASTS),
    }));
    setTimeout(() => {
      this.dismissToast(id);
    }, TOAST_MS);
  }

  dismissToast(id: number): void {
    this.ui.update((state) => ({ ...state, toasts: state.toasts.filter((toast) => toast.id !== id) }));
  }

  /** Lets go of the devices once the meeting is over, however it ended. */
  #afterEnd(): void {
    for (const source of ['microphone', 'camera', 'screen', 'screen-audio'] as const)
      this.meeting.unpublish(source);
    this.#stopScreen();
    this.media.close('microphone');
    this.media.close('camera');
    this.#patch({ panel: 'none', unreadChat: 0, soundBlocked: false, toasts: [] });
  }

  #listen(): void {
    let wasActive = false;
    this.meeting.subscribe(() => {
      const active = isActive(this.meeting.getSnapshot().connection);
      if (active === wasActive) return;
      wasActive = active;
      if (!active) this.#afterEnd();
    });
    const { events } = this.meeting;
    events.on('chat-received', ({ displayName, text }) => {
      const { panel, unreadChat } = this.ui.getSnapshot();
      if (panel === 'chat') return;
      this.#patch({ unreadChat: unreadChat + 1 });
      this.toast(`${displayName}: ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`);
    });
    events.on('peer-joined', ({ displayName }) => {
      if (this.meeting.getSnapshot().room.peerCount <= 20) this.toast(`${displayName} joined`);
    });
    events.on('peer-left', ({ displayName }) => {
      const few = this.meeting.getSnapshot().room.peerCount <= 20;
      if (few && displayName !== undefined) this.toast(`${displayName} left`);
    });
    events.on('local-track-ended', ({ source }) => {
      if (source === 'screen') this.#stopScreen();
      if (source === 'camera' || source === 'microphone')
        this.toast(explainProblem(source, 'none'), 'problem');
    });
    events.on('problem', (error) => {
      this.toast(errorForPeople(error.code).title, 'problem');
    });
  }

  /** Publishes a device that is open, or as soon as it is: a slow camera must neither hold up a join nor miss it. */
  #publishCaptured(kind: CaptureKind): void {
    const { track, enabled, status } = this.media.getSnapshot()[kind];
    if (status === 'starting') {
      this.#ask(
        this.media.untilSettled(kind).then(() => {
          if (isActive(this.meeting.getSnapshot().connection)) this.#publishCaptured(kind);
        }),
      );
    } else if (track !== undefined && (enabled || kind === 'microphone')) {
      this.#ask(this.meeting.publish(kind, track, { paused: !enabled }));
    }
  }

  async #setEnabled(kind: CaptureKind, enabled: boolean): Promise<void> {
    // Muting takes effect before anything that could take time.
    if (!enabled) this.meeting.setMuted(kind, true);
    const track = await this.media.setEnabled(kind, enabled);
    if (!isActive(this.meeting.getSnapshot().connection)) return;
    if (!enabled) {
      if (kind === 'camera') await this.meeting.replaceTrack('camera', null);
      return;
    }
    if (track !== undefined && this.media.getSnapshot()[kind].enabled) {
      await this.meeting.publish(kind, track, { paused: false });
      return;
    }
    const { problem } = this.media.getSnapshot()[kind];
    if (problem !== undefined) {
      await this.media.setEnabled(kind, false);
      this.toast(explainProblem(kind, problem), 'problem');
    }
  }

  async #choose(kind: CaptureKind, deviceId: string): Promise<void> {
    const track = await this.media.choose(kind, deviceId);
    if (track === undefined || !isActive(this.meeting.getSnapshot().connection)) return;
    await this.meeting.publish(kind, track, { paused: !this.media.getSnapshot()[kind].enabled });
  }

  async #shareScreen(): Promise<void> {
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: { max: 15 } },
        audio: true,
      });
    } catch (thrown) {
      const problem = deviceProblem(thrown);
      // Closing the browser's chooser is a decision, not a fault.
      if (problem !== 'denied') this.toast(explainProblem('screen', problem), 'problem');
      return;
    }
    this.#screenTracks = stream.getTracks();
    const [video] = stream.getVideoTracks();
    const [audio] = stream.getAudioTracks();
    if (video !== undefined) await this.meeting.publish('screen', video);
    if (audio !== undefined) await this.meeting.publish('screen-audio', audio);
  }

  #stopScreen(): void {
    this.meeting.unpublish('screen');
    this.meeting.unpublish('screen-audio');
    for (const track of this.#screenTracks) track.stop();
    this.#screenTracks = [];
  }

  #name(): string {
    return this.ui.getSnapshot().displayName.trim();
  }

  #prefetchToken(): void {
    if (this.route.token === undefined) this.#tokens.prefetch(this.#name());
  }

  /** Runs what a person asked for; a failure becomes a toast. */
  #ask(work: Promise<unknown>): void {
    work.catch((thrown: unknown) => {
      this.#problem(undefined, thrown);
    });
  }

  #problem(text: string | undefined, thrown: unknown): void {
    console.warn('plenary:', thrown);
    const known = thrown instanceof PlenaryError ? thrown : toPlenaryError(thrown);
    this.toast(text ?? errorForPeople(known.code).title, 'problem');
  }

  #patch(change: Partial<UiState>): void {
    this.ui.update((state) => ({ ...state, ...change }));
  }
}
