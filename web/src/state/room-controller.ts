import { PlenaryError } from '@plenary/cluster/errors';
import { DISPLAY_NAME, PEER_ID, cleanLine, type PeerId, type TrackSource } from '@plenary/cluster/protocol';
import {
  Store,
  browserRejoinKeeper,
  createMeeting,
  isActive,
  type Meeting,
  type MeetingOptions,
  type RejoinTicketStore,
  type SignallingPort,
} from '../client/index.ts';
import { watchHands } from '../features/hands/hands.ts';
import { deviceProblem, pagePolicy } from './device-problems.ts';
import { CAPTURE_KINDS, LocalMedia, showsOn, type CaptureKind } from './local-media.ts';
import {
  ONLY_WATCHES,
  PAGE_FAULT,
  SENDS_TOO_MUCH,
  explainFailure,
  explainKept,
  explainProblem,
  explainTaken,
  explainUnpublished,
} from './notices.ts';
import { peersOfTabs, tellOtherTabs } from './other-tabs.ts';
import { OwnTracks } from './own-tracks.ts';
import { ParentTokens, isFramed } from './parent-tokens.ts';
import { onlyWatches } from './people.ts';
import { recall, recallPeers, remember, rememberPeer } from './preferences.ts';
import type { PageRoute } from './route.ts';
import { ScreenShare } from './screen-share.ts';
import { serviceInfo, type ServiceInfo } from './service-info.ts';
import { TokenSource } from './token-source.ts';
import { watchUnsent } from './unsent.ts';

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
  /** The browser refused to play sound before the person clicked somewhere, or the system paused it. */
  readonly soundBlocked: boolean;
  /** What the person has switched on, and nobody gets although it ought to be sent by now. */
  readonly unsent: readonly TrackSource[];
  /** One came without a token, and guests are not let in. */
  readonly needsInvitation: boolean;
  /** Whether the room's bare link lets anybody in. */
  readonly isLinkOpen: boolean;
  /** The cluster takes nothing from pages at the address that this one was opened at. */
  readonly isAddressRefused: boolean;
}

const TOAST_MS = 5_000;
/** Longer, since it says what to do. */
const PROBLEM_TOAST_MS = 12_000;
const MOST_TOASTS = 3;
const PREFETCH_DELAY_MS = 300;

/** What went wrong is pushed out by nothing less. */
function newestToasts(toasts: readonly Toast[]): readonly Toast[] {
  if (toasts.length <= MOST_TOASTS) return toasts;
  const oldest = toasts.find(({ tone }) => tone === 'info') ?? toasts[0];
  return toasts.filter((toast) => toast !== oldest);
}

export interface RoomControllerOptions {
  readonly signalling?: SignallingPort;
  readonly createDevice?: MeetingOptions['createDevice'];
  readonly serviceInfo?: typeof serviceInfo;
}

/** Empty where what is kept can be nobody's name. */
function recalledName(): string {
  const name = DISPLAY_NAME.safeParse(cleanLine(recall('displayName') ?? ''));
  return name.success ? name.data : '';
}

/** Everything the pages of one room can do. Components call it and draw its stores; they decide nothing. */
export class RoomController {
  readonly route: Extract<PageRoute, { page: 'room' }>;
  readonly meeting: Meeting;
  readonly media = new LocalMedia();
  readonly ui = new Store<UiState>({
    displayName: recalledName(),
    atDoor: true,
    panel: 'none',
    unreadChat: 0,
    toasts: [],
    soundBlocked: false,
    unsent: [],
    needsInvitation: false,
    isLinkOpen: true,
    isAddressRefused: false,
  });
  /** Of guests; `undefined` where one comes with a token, or gets one from the page around this one. */
  readonly #guestTokens: TokenSource | undefined;
  /** `undefined`: only as long as the page is there. */
  readonly #rejoin: RejoinTicketStore | undefined;
  #prefetchTimer: ReturnType<typeof setTimeout> | undefined;
  #nextToastId = 1;
  readonly #ownTracks: OwnTracks;
  readonly #screen: ScreenShare;
  readonly #serviceInfo: typeof serviceInfo;
  /** Whom this tab was before the page was loaded, and perhaps the one that it was made from. */
  readonly #previousPeers: readonly PeerId[];
  /** Whom this page itself was. */
  readonly #ownPeers = new Set<string>();
  /** Of this page as other tabs know it. */
  #shown = new AbortController();
  /** Of the devices that are yet to be asked for, while it is not known whether one may come in. */
  #opening = new AbortController();

  constructor(route: Extract<PageRoute, { page: 'room' }>, options: RoomControllerOptions = {}) {
    this.route = route;
    this.#serviceInfo = options.serviceInfo ?? serviceInfo;
    const isOwnPage = !isFramed();
    this.#previousPeers = recallPeers(route.roomId).flatMap((peerId) => PEER_ID.safeParse(peerId).data ?? []);
    this.#guestTokens = isOwnPage && route.token === undefined ? new TokenSource(route) : undefined;
    // A page in a frame asks the application who is there now: another person may have signed in to it in this tab.
    const isToldByApplication = !isOwnPage && route.token === undefined;
    this.#rejoin = isToldByApplication ? undefined : browserRejoinKeeper(route.roomId, console);
    const getToken = this.#tokensFrom(isOwnPage);
    this.meeting = createMeeting({
      edgeUrls: [globalThis.location.origin],
      roomId: route.roomId,
      ...(route.token === undefined ? {} : { token: route.token }),
      previousPeerIds: this.#previousPeers,
      ...(getToken === undefined ? {} : { getToken }),
      ...(this.#rejoin === undefined ? {} : { rejoin: this.#rejoin }),
      ...(options.signalling === undefined ? {} : { signalling: options.signalling }),
      ...(options.createDevice === undefined ? {} : { createDevice: options.createDevice }),
    });
    this.#ownTracks = new OwnTracks(this.meeting, this.media, (thrown) => this.#problem(undefined, thrown));
    this.#screen = new ScreenShare(this.meeting);
    this.#listen();
    watchHands(this.meeting, (text) => this.toast(text));
    watchUnsent(this.meeting, (unsent) => this.#patch({ unsent }));
    this.#watchDevices();
  }

  /** Warms up: devices, certificate, socket, token. Nothing of it is a precondition of joining. */
  start(): void {
    this.meeting.prepare().catch((thrown: unknown) => {
      this.#problem('This browser cannot take part in video meetings.', thrown);
    });
    this.#opening.abort();
    this.#opening = new AbortController();
    this.ask(this.#lookForOtherTabs());
    this.ask(this.#openDoor(this.#opening));
  }

  /**
   * A tab that was duplicated remembers whom the first one was, and may still be. Of a page that is gone the browser may tell for a
   * while yet, and the first tab may be somebody new at any time: one look is not enough.
   */
  async #lookForOtherTabs(): Promise<void> {
    const peers = [...(await peersOfTabs())];
    this.meeting.excludeOwnPeers(peers.filter((peerId) => !this.#ownPeers.has(peerId)));
  }

  /** The browser shows the page once more that it had put away: what was let go of then is asked for anew. */
  shownAgain(): void {
    if (this.ui.getSnapshot().atDoor) this.start();
  }

  /** Asks for the devices, unless nobody could come in by this page anyway, or the person has gone on meanwhile. */
  async #openDoor(opening: AbortController): Promise<void> {
    await this.#lookWhoIsLetIn();
    if (opening.signal.aborted || this.ui.getSnapshot().needsInvitation) return;
    opening.abort();
    if (this.canJoin) this.#prefetchToken();
    await this.media.start();
  }

  async #lookWhoIsLetIn(): Promise<void> {
    if (this.#guestTokens === undefined) {
      // Nothing waits for it: it only decides on what others could do with the link.
      void this.#serviceInfo().then((info) => this.#noteService(info));
      return;
    }
    const info = await this.#serviceInfo();
    this.#noteService(info);
    if (info?.guests === false) await this.#guestsAreOff();
  }

  #noteService(info: ServiceInfo | undefined): void {
    this.#patch({ isLinkOpen: info?.guests !== false });
  }

  /** Who came by a token before, in this tab, comes back by what was kept of it. Where that cannot be read, the join says so. */
  async #guestsAreOff(): Promise<void> {
    const cameBefore = (await this.#rejoin?.load()) !== undefined;
    if (cameBefore || isActive(this.meeting.getSnapshot().connection)) return;
    this.media.close('microphone');
    this.media.close('camera');
    this.#patch({ needsInvitation: true });
  }

  /** From whom tokens are asked for. Who came with one is never made a guest. */
  #tokensFrom(isOwnPage: boolean): MeetingOptions['getToken'] {
    const { roomId } = this.route;
    if (!isOwnPage) {
      const origins = async (): Promise<readonly string[]> => (await this.#serviceInfo())?.embedOrigins ?? [];
      const parent = new ParentTokens(roomId, origins, window);
      return (request) => parent.get(request);
    }
    const guests = this.#guestTokens;
    return guests && ((request) => guests.get(this.#name(), request));
  }

  get canJoin(): boolean {
    return DISPLAY_NAME.safeParse(this.#name()).success;
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
    if (!this.#opening.signal.aborted) {
      // Now at the latest: a device that opened some time later would be a surprise.
      this.#opening.abort();
      this.ask(this.media.start());
    }
    this.#ownTracks.start();
    // The failure is drawn from the meeting's state; here it would only be said twice.
    this.meeting.join().catch(() => undefined);
  }

  /** Gives up a join that is under way, and shows the form again. */
  cancelJoin(): void {
    const { phase } = this.meeting.getSnapshot().connection;
    if (phase !== 'connecting' && phase !== 'joining') return;
    this.#patch({ atDoor: true });
    this.leave();
    this.start();
  }

  leave(): void {
    // At once, and not when the edge has answered.
    this.#letGo();
    this.ask(this.meeting.leave());
  }

  /** Leaves without waiting, when the page will run no longer. */
  leaveNow(): void {
    this.#letGo();
    this.meeting.leaveNow();
    this.#showToOtherTabs(undefined);
  }

  /** Whom this page is from now on; whom it was before is nobody any more. */
  #showToOtherTabs(peerId: PeerId | undefined): void {
    this.#shown.abort();
    this.#shown = new AbortController();
    if (peerId !== undefined) tellOtherTabs(peerId, this.#shown.signal);
  }

  /** Shows the pre-join page again, after leaving or a failure. */
  returnToDoor(): void {
    this.#patch({ atDoor: true });
    this.start();
  }

  get canComeAsGuest(): boolean {
    return this.#guestTokens !== undefined && this.ui.getSnapshot().isLinkOpen;
  }

  /** Whoever this person was here before, which the browser does not give at the moment: they say so themselves. */
  joinAsGuest(): void {
    this.meeting.joinAsNew();
    this.returnToDoor();
  }

  /** Mutes or unmutes, or switches the camera; before the meeting it sets how one will enter. */
  toggle(kind: CaptureKind): void {
    // What failed shows as off: pressing the button tries the device again, and says why when it fails again.
    this.ask(this.#setEnabled(kind, !showsOn(this.media.getSnapshot()[kind])));
  }

  chooseDevice(kind: CaptureKind, deviceId: string): void {
    this.ask(this.#choose(kind, deviceId));
  }

  /** Begins or ends sharing the screen. */
  toggleScreen(): void {
    if (this.meeting.getSnapshot().localTracks.has('screen')) this.#screen.stop();
    else this.ask(this.#shareScreen());
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
    this.ask(this.meeting.loadMoreRoster());
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
      toasts: newestToasts([...state.toasts, { id, text, tone }]),
    }));
    setTimeout(
      () => {
        this.dismissToast(id);
      },
      tone === 'problem' ? PROBLEM_TOAST_MS : TOAST_MS,
    );
  }

  dismissToast(id: number): void {
    this.ui.update((state) => ({ ...state, toasts: state.toasts.filter((toast) => toast.id !== id) }));
  }

  /** Lets go of the devices, and of what the browser is still being asked for. */
  #letGo(): void {
    this.#opening.abort();
    this.#ownTracks.stop();
    this.#screen.stop();
    for (const kind of CAPTURE_KINDS) this.media.close(kind);
  }

  /** Who came to watch sends nothing, so nothing is captured. What they chose for other meetings stays as it is. */
  #onlyWatch(): void {
    this.#letGo();
    this.toast(ONLY_WATCHES);
  }

  /** Nobody sees or hears it any more: the button and the device are to say the same. */
  #switchOff(source: TrackSource): void {
    if (source === 'microphone' || source === 'camera') this.media.switchOff(source);
    else if (source === 'screen') this.#screen.stop();
    else this.#screen.stopSound();
  }

  /** Once the meeting is over, however it ended. */
  #afterEnd(): void {
    this.#letGo();
    this.#patch({ panel: 'none', unreadChat: 0, soundBlocked: false, toasts: [] });
  }

  #listen(): void {
    let wasActive = false;
    let rememberedPeer: string | undefined;
    let lookedAmong: ReadonlyMap<PeerId, unknown> | undefined;
    let watches = false;
    this.meeting.subscribe(() => {
      const snapshot = this.meeting.getSnapshot();
      const { connection, self, room } = snapshot;
      const active = isActive(connection);
      if (active && self !== undefined && self.peerId !== rememberedPeer) {
        rememberedPeer = self.peerId;
        rememberPeer(this.route.roomId, self.peerId);
        this.#ownPeers.add(self.peerId);
        this.#showToOtherTabs(self.peerId);
        lookedAmong = undefined;
      }
      if (active && room.peers !== lookedAmong) {
        lookedAmong = room.peers;
        if (this.#previousPeers.some((peerId) => room.peers.has(peerId))) this.ask(this.#lookForOtherTabs());
      }
      const watched = watches;
      watches = connection.phase === 'joined' ? onlyWatches(snapshot) : watches && active;
      if (watches && !watched) this.#onlyWatch();
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
      if (source === 'screen') this.#screen.stop();
    });
    events.on('local-track-failed', ({ source, error }) => {
      // Of them it is no failure, and told once.
      if (onlyWatches(this.meeting.getSnapshot())) return;
      this.#switchOff(source);
      this.toast(explainUnpublished(source, error.code), 'problem');
    });
    events.on('local-track-taken', ({ source, reason }) => {
      this.#switchOff(source);
      this.toast(explainTaken(source, reason), 'problem');
    });
    events.on('publishing-warned', () => {
      this.toast(SENDS_TOO_MUCH, 'problem');
    });
    events.on('problem', (error) => {
      this.toast(explainFailure(error.code), 'problem');
    });
  }

  /** Tells when a device stops by itself. */
  #watchDevices(): void {
    let before = this.media.getSnapshot();
    this.media.subscribe(() => {
      const now = this.media.getSnapshot();
      for (const kind of CAPTURE_KINDS) {
        const { problem, silenced } = now[kind];
        if (problem === 'gone' && before[kind].problem !== 'gone')
          this.toast(explainProblem(kind, 'gone'), 'problem');
        if (silenced && !before[kind].silenced) this.toast(explainProblem(kind, 'silenced'), 'problem');
      }
      before = now;
    });
  }

  async #setEnabled(kind: CaptureKind, enabled: boolean): Promise<void> {
    const isInside = isActive(this.meeting.getSnapshot().connection);
    const problem = await this.media.setEnabled(kind, enabled);
    // At the door no syllable is lost: there a microphone that is off is closed as well.
    if (!isInside && !this.media.getSnapshot()[kind].enabled) this.media.close(kind);
    // At the door it stands beside the form.
    if (problem !== undefined && isActive(this.meeting.getSnapshot().connection))
      this.toast(explainProblem(kind, problem), 'problem');
  }

  async #choose(kind: CaptureKind, deviceId: string): Promise<void> {
    const problem = await this.media.choose(kind, deviceId);
    if (problem === undefined) return;
    const goesOn = this.media.getSnapshot()[kind].track !== undefined;
    if (goesOn) this.toast(explainKept(kind, problem), 'problem');
    else if (isActive(this.meeting.getSnapshot().connection))
      this.toast(explainProblem(kind, problem), 'problem');
  }

  async #shareScreen(): Promise<void> {
    try {
      await this.#screen.start();
    } catch (thrown) {
      const problem = deviceProblem(thrown, pagePolicy('screen'));
      // Closing the browser's chooser is a decision, not a fault.
      if (problem === 'denied') return;
      this.toast(explainProblem('screen', problem), problem === 'denied-in-frame' ? 'info' : 'problem');
    }
  }

  /** As the cluster takes it: what a paste brought along is of no use to anybody. */
  #name(): string {
    return cleanLine(this.ui.getSnapshot().displayName).trim();
  }

  #prefetchToken(): void {
    this.#guestTokens?.prefetch(this.#name(), ({ code }) => {
      // Whatever else it is, the join tells it.
      if (code === 'guests_not_allowed') this.ask(this.#guestsAreOff());
      // Of a socket that is refused for it browsers do not tell why.
      this.#patch({ isAddressRefused: code === 'forbidden' });
    });
  }

  /** Runs what a person asked for; a failure becomes a toast. */
  ask(work: Promise<unknown>): void {
    work.catch((thrown: unknown) => {
      this.#problem(undefined, thrown);
    });
  }

  #problem(text: string | undefined, thrown: unknown): void {
    console.warn('plenary:', thrown);
    // What is no error of the cluster is not the server's.
    const known = thrown instanceof PlenaryError ? explainFailure(thrown.code) : PAGE_FAULT;
    this.toast(text ?? known, 'problem');
  }

  #patch(change: Partial<UiState>): void {
    this.ui.update((state) => ({ ...state, ...change }));
  }
}
