import { PlenaryError } from '@plenary/cluster/errors';
import { DISPLAY_NAME, cleanLine, type PeerId, type TrackSource } from '@plenary/cluster/protocol';
import {
  browserRejoinTicketStore,
  createMeeting,
  isActive,
  type Meeting,
  type MeetingOptions,
  type RejoinTicketStore,
  type SignallingPort,
} from '../client/index.ts';
import { watchHands } from '../features/hands/hands.ts';
import { deviceProblem, pagePolicy } from './device-problems.ts';
import { CAPTURE_KINDS, LocalMedia, appearsOn, type CaptureKind } from './local-media.ts';
import { showDeviceProblems, showLostTracks, showMeetingEvents } from './meeting-toasts.ts';
import { PAGE_FAULT, VIEWER_NOTICE, explainFailure, explainKeptDevice, explainProblem } from './notices.ts';
import { OwnTracks } from './own-tracks.ts';
import { ParentTokens, isFramed } from './parent-tokens.ts';
import { isViewer } from './people.ts';
import { remember } from './preferences.ts';
import type { PageRoute } from './route.ts';
import { ScreenShare } from './screen-share.ts';
import { serviceInfo, type ServiceInfo } from './service-info.ts';
import { TabIdentity } from './tab-identity.ts';
import { Toasts, type ShowToast } from './toasts.ts';
import { TokenSource } from './token-source.ts';
import { createUiStore, type Panel, type Toast, type UiState } from './ui-state.ts';
import { watchUnsent } from './unsent.ts';

const PREFETCH_DELAY_MS = 300;

export interface RoomControllerOptions {
  readonly signalling?: SignallingPort;
  readonly createDevice?: MeetingOptions['createDevice'];
  readonly serviceInfo?: typeof serviceInfo;
}

/** All actions of the pages of one room. Components call it and render its stores; they decide nothing. */
export class RoomController {
  readonly route: Extract<PageRoute, { page: 'room' }>;
  readonly meeting: Meeting;
  readonly media = new LocalMedia();
  readonly ui = createUiStore();
  /** Gets guest tokens; `undefined` when the address has a token, or the embedding page gives tokens. */
  readonly #guestTokens: TokenSource | undefined;
  /** Stores the rejoin ticket over a reload; `undefined` when it is kept in memory only. */
  readonly #rejoin: RejoinTicketStore | undefined;
  #prefetchTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #ownTracks: OwnTracks;
  readonly #screen: ScreenShare;
  readonly #toasts = new Toasts(this.ui);
  readonly #identity: TabIdentity;
  readonly #serviceInfo: typeof serviceInfo;
  /** Aborted when the devices are requested, or must not be: until then it is open whether the person is admitted. */
  #openingDevices = new AbortController();

  constructor(route: Extract<PageRoute, { page: 'room' }>, options: RoomControllerOptions = {}) {
    this.route = route;
    this.#serviceInfo = options.serviceInfo ?? serviceInfo;
    const isOwnPage = !isFramed();
    this.#identity = new TabIdentity(route.roomId);
    this.#guestTokens = isOwnPage && route.token === undefined ? new TokenSource(route) : undefined;
    // A page in a frame always asks the application who the person is: somebody else may have signed in to it in this tab.
    const isNamedByApplication = !isOwnPage && route.token === undefined;
    this.#rejoin = isNamedByApplication ? undefined : browserRejoinTicketStore(route.roomId, console);
    const getToken = this.#createGetToken(isOwnPage);
    this.meeting = createMeeting({
      edgeUrls: [globalThis.location.origin],
      roomId: route.roomId,
      ...(route.token === undefined ? {} : { token: route.token }),
      previousPeerIds: this.#identity.previousPeers,
      ...(getToken === undefined ? {} : { getToken }),
      ...(this.#rejoin === undefined ? {} : { rejoin: this.#rejoin }),
      ...(options.signalling === undefined ? {} : { signalling: options.signalling }),
      ...(options.createDevice === undefined ? {} : { createDevice: options.createDevice }),
    });
    this.#ownTracks = new OwnTracks(this.meeting, this.media, (thrown) =>
      this.#reportProblem(undefined, thrown),
    );
    this.#screen = new ScreenShare(this.meeting);
    this.#followMeeting();
    const showToast: ShowToast = (text, tone) => this.toast(text, tone);
    showMeetingEvents(this.meeting, this.ui, showToast);
    showLostTracks(this.meeting, (source) => this.#switchOff(source), showToast);
    showDeviceProblems(this.media, showToast);
    watchHands(this.meeting, showToast);
    watchUnsent(this.meeting, (unsent) => this.#patch({ unsent }));
  }

  /** Prepares devices, certificate, socket and token. A join does not depend on any of them. */
  start(): void {
    this.meeting.prepare().catch((thrown: unknown) => {
      this.#reportProblem('This browser cannot take part in video meetings.', thrown);
    });
    this.#openingDevices.abort();
    this.#openingDevices = new AbortController();
    this.run(this.#excludeOtherTabs());
    this.run(this.#openDevices(this.#openingDevices));
  }

  /**
   * Excludes peer ids that other tabs use. Repeated while the meeting runs: the browser may list a page that just ended for a while, and
   * the original of a duplicated tab may rejoin under a new id at any time.
   */
  async #excludeOtherTabs(): Promise<void> {
    this.meeting.excludeOwnPeers(await this.#identity.peersOfOtherTabs());
  }

  /** Requests devices again when the browser shows the page from its back/forward cache. */
  pageShownAgain(): void {
    if (this.ui.getSnapshot().isPreJoin) this.start();
  }

  /** Requests the devices, unless this page cannot be admitted anyway, or the person has joined or left meanwhile. */
  async #openDevices(opening: AbortController): Promise<void> {
    await this.#checkAdmission();
    if (opening.signal.aborted || this.ui.getSnapshot().needsInvitation) return;
    opening.abort();
    if (this.canJoin) this.#prefetchToken();
    await this.media.start();
  }

  async #checkAdmission(): Promise<void> {
    if (this.#guestTokens === undefined) {
      // Not awaited: the answer only decides whether the link can be passed on.
      void this.#serviceInfo().then((info) => this.#applyServiceInfo(info));
      return;
    }
    const info = await this.#serviceInfo();
    this.#applyServiceInfo(info);
    if (info?.guests === false) await this.#refuseGuests();
  }

  #applyServiceInfo(info: ServiceInfo | undefined): void {
    this.#patch({ isLinkOpen: info?.guests !== false });
  }

  /** Shows that an invitation is needed, unless this tab has a rejoin ticket. If the ticket cannot be read, the join reports that. */
  async #refuseGuests(): Promise<void> {
    const hasTicket = (await this.#rejoin?.load()) !== undefined;
    if (hasTicket || isActive(this.meeting.getSnapshot().connection)) return;
    this.media.close('microphone');
    this.media.close('camera');
    this.#patch({ needsInvitation: true });
  }

  /** Returns the source of tokens. A person who came with a token never becomes a guest. */
  #createGetToken(isOwnPage: boolean): MeetingOptions['getToken'] {
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
   * Joins at once with the devices that are open, or without any. A device that the browser is still opening is published later. The
   * meeting's snapshot shows errors.
   */
  join(): void {
    if (!this.canJoin) return;
    this.#patch({ isPreJoin: false });
    clearTimeout(this.#prefetchTimer);
    remember('displayName', this.#name());
    this.meeting.setDisplayName(this.#name());
    if (!this.#openingDevices.signal.aborted) {
      // Devices are requested now at the latest: one that opened some time later would surprise the person.
      this.#openingDevices.abort();
      this.run(this.media.start());
    }
    this.#ownTracks.start();
    // The meeting's state shows the failure; a toast would repeat it.
    this.meeting.join().catch(() => undefined);
  }

  /** Cancels a pending join, and shows the pre-join page again. */
  cancelJoin(): void {
    const { phase } = this.meeting.getSnapshot().connection;
    if (phase !== 'connecting' && phase !== 'joining') return;
    this.#patch({ isPreJoin: true });
    this.leave();
    this.start();
  }

  leave(): void {
    // The devices are released at once, before the edge answers.
    this.#releaseDevices();
    this.run(this.meeting.leave());
  }

  /** Leaves without waiting, when the page is about to end. */
  leaveNow(): void {
    this.#releaseDevices();
    this.meeting.leaveNow();
    this.#identity.leave();
  }

  /** Shows the pre-join page again, after leaving or a failure. */
  showPreJoin(): void {
    this.#patch({ isPreJoin: true });
    this.start();
  }

  get canJoinAsGuest(): boolean {
    return this.#guestTokens !== undefined && this.ui.getSnapshot().isLinkOpen;
  }

  /** Joins as a guest although a rejoin ticket may be stored that the browser cannot read; the person chooses this. */
  joinAsGuest(): void {
    this.meeting.joinAsNew();
    this.showPreJoin();
  }

  /** Switches microphone or camera on or off. Before the meeting it sets the state at the join. */
  toggle(kind: CaptureKind): void {
    // A failed device appears as off, so pressing the button tries it again, and a toast says why it fails again.
    this.run(this.#setEnabled(kind, !appearsOn(this.media.getSnapshot()[kind])));
  }

  chooseDevice(kind: CaptureKind, deviceId: string): void {
    this.run(this.#choose(kind, deviceId));
  }

  /** Begins or ends sharing the screen. */
  toggleScreen(): void {
    if (this.meeting.getSnapshot().localTracks.has('screen')) this.#screen.stop();
    else this.run(this.#shareScreen());
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
    this.run(this.meeting.loadMoreRoster());
  }

  async copyLink(): Promise<void> {
    const link = new URL(`/r/${this.route.roomId}`, globalThis.location.origin).href;
    try {
      await navigator.clipboard.writeText(link);
      this.toast('Link copied. Send it to whoever should come.');
    } catch {
      // Without a secure context there is no clipboard: the toast shows the link, to be copied by hand.
      this.toast(link);
    }
  }

  toast(text: string, tone: Toast['tone'] = 'info'): void {
    this.#toasts.show(text, tone);
  }

  dismissToast(id: number): void {
    this.#toasts.dismiss(id);
  }

  /** Releases the devices, and cancels pending requests for devices. */
  #releaseDevices(): void {
    this.#openingDevices.abort();
    this.#ownTracks.stop();
    this.#screen.stop();
    for (const kind of CAPTURE_KINDS) this.media.close(kind);
  }

  /** Releases the devices, because a viewer sends nothing. The choices for other meetings stay remembered. */
  #becomeViewer(): void {
    this.#releaseDevices();
    this.toast(VIEWER_NOTICE);
  }

  /** Switches off a source that is no longer sent, so that button and device match. */
  #switchOff(source: TrackSource): void {
    if (source === 'microphone' || source === 'camera') this.media.switchOff(source);
    else if (source === 'screen') this.#screen.stop();
    else this.#screen.stopSound();
  }

  /** Cleans up after the end of the meeting. */
  #afterEnd(): void {
    this.#releaseDevices();
    this.#patch({ panel: 'none', unreadChat: 0, soundBlocked: false, toasts: [] });
  }

  #followMeeting(): void {
    let wasActive = false;
    let checkedPeers: ReadonlyMap<PeerId, unknown> | undefined;
    let isWatching = false;
    this.meeting.subscribe(() => {
      const snapshot = this.meeting.getSnapshot();
      const { connection, self, room } = snapshot;
      const active = isActive(connection);
      if (active && self !== undefined && this.#identity.enter(self.peerId)) checkedPeers = undefined;
      if (active && room.peers !== checkedPeers) {
        checkedPeers = room.peers;
        if (this.#identity.hasPreviousPeerIn(room.peers)) this.run(this.#excludeOtherTabs());
      }
      const wasWatching = isWatching;
      isWatching = connection.phase === 'joined' ? isViewer(snapshot) : isWatching && active;
      if (isWatching && !wasWatching) this.#becomeViewer();
      if (active === wasActive) return;
      wasActive = active;
      if (!active) this.#afterEnd();
    });
    this.meeting.events.on('local-track-ended', ({ source }) => {
      if (source === 'screen') this.#screen.stop();
    });
  }

  async #setEnabled(kind: CaptureKind, enabled: boolean): Promise<void> {
    const isInside = isActive(this.meeting.getSnapshot().connection);
    const problem = await this.media.setEnabled(kind, enabled);
    // Before the meeting a muted microphone is closed too, because no syllable can be lost there.
    if (!isInside && !this.media.getSnapshot()[kind].enabled) this.media.close(kind);
    // The pre-join page shows the problem itself.
    if (problem !== undefined && isActive(this.meeting.getSnapshot().connection))
      this.toast(explainProblem(kind, problem), 'problem');
  }

  async #choose(kind: CaptureKind, deviceId: string): Promise<void> {
    const problem = await this.media.choose(kind, deviceId);
    if (problem === undefined) return;
    const goesOn = this.media.getSnapshot()[kind].track !== undefined;
    if (goesOn) this.toast(explainKeptDevice(kind, problem), 'problem');
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

  /** The display name in the form that the cluster accepts, without invisible characters of a paste. */
  #name(): string {
    return cleanLine(this.ui.getSnapshot().displayName).trim();
  }

  #prefetchToken(): void {
    this.#guestTokens?.prefetch(this.#name(), ({ code }) => {
      // The join reports any other error.
      if (code === 'guests_not_allowed') this.run(this.#refuseGuests());
      // Browsers do not report why a socket was refused, so this answer is the only sign.
      this.#patch({ isAddressRefused: code === 'forbidden' });
    });
  }

  /** Runs an action of the person. A failure becomes a toast. */
  run(work: Promise<unknown>): void {
    work.catch((thrown: unknown) => {
      this.#reportProblem(undefined, thrown);
    });
  }

  #reportProblem(text: string | undefined, thrown: unknown): void {
    console.warn('plenary:', thrown);
    // Only an error of the cluster may be shown as one of the service.
    const known = thrown instanceof PlenaryError ? explainFailure(thrown.code) : PAGE_FAULT;
    this.toast(text ?? known, 'problem');
  }

  #patch(change: Partial<UiState>): void {
    this.ui.update((state) => ({ ...state, ...change }));
  }
}
