import { atMost } from '@plenary/cluster/deadline';
import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import {
  ROOM_NAME,
  type ClientReply,
  type ClientRequestInput,
  type ClientRequestName,
  type RoomName,
  type Session,
  type TrackSource,
} from '@plenary/cluster/protocol';
import { isActive, nextConnectionState, type ConnectionEvent } from './connection-state.ts';
import { EdgeConnection, type NoticeOfMeeting } from './edge-connection.ts';
import { consoleLog, newCounters, type ClientLog, type Counters } from './counters.ts';
import { SessionEntry } from './session-entry.ts';
import { normaliseEdgeUrl } from './edge-list.ts';
import { fetchProbe } from './fetch-probe.ts';
import { JoinClock, type JoinTimings } from './join-timings.ts';
import { RoomLogSync } from './room-log-sync.ts';
import { MeetingMedia } from './meeting-media.ts';
import type { MeetingEvents, MeetingOptions, MeetingSnapshot } from './meeting-types.ts';
import { ChatOutbox } from './chat-outbox.ts';
import { OwnPeers } from './own-peers.ts';
import { toPageError } from './page-error.ts';
import { pageTimers } from './page-timers.ts';
import type { WantedVideo } from './plan-subscriptions.ts';
import type { RequestEdge } from './request-edge.ts';
import { announceChanges, roomChanges } from './room-changes.ts';
import { EMPTY_ROOM, applyRosterPage, mayBeHere, type RoomState } from './room-state.ts';
import { RoundTripMeter } from './round-trips.ts';
import type { EdgeLink } from './rpc.ts';
import { SessionConfirmation } from './session-confirmation.ts';
import { socketSignalling } from './socket-signalling.ts';
import { SpeakerBoard } from './speaker-board.ts';
import type { MeetingStats } from './stats.ts';
import { Store, type ReadableStore } from './store.ts';
import { TypedEvents } from './typed-events.ts';
import type { WarmMedia } from './warm-up.ts';

/** Somebody who leaves waits no longer for the edge, in milliseconds. */
const LEAVE_WITHIN_MS = 1_000;
/** What a join may wait for distances that are still being measured, in milliseconds. */
const ROUND_TRIPS_WAIT_MS = 150;
const INITIAL: MeetingSnapshot = {
  connection: { phase: 'idle' },
  media: 'none',
  flow: 'unknown',
  stalled: new Set(),
  self: undefined,
  ownPeerIds: new Set(),
  openToGuests: undefined,
  edgeId: undefined,
  mediaNodeId: undefined,
  datacenter: undefined,
  room: EMPTY_ROOM,
  remoteTracks: new Map(),
  localTracks: new Map(),
  speakers: [],
  outbox: [],
};

/** One person's presence in one room, over however many edges and media nodes it takes. Knows no user interface. */
export class Meeting implements ReadableStore<MeetingSnapshot> {
  readonly roomId: RoomName;
  readonly counters: Counters = newCounters();
  readonly events = new TypedEvents<MeetingEvents>();
  readonly #options: MeetingOptions;
  readonly #log: ClientLog;
  // Drawing waits for the turn's end: a join hands its transports to the browser before the page is drawn anew.
  readonly #store = new Store<MeetingSnapshot>(INITIAL, 'next-turn');
  readonly #clock = new JoinClock();
  readonly #connection: EdgeConnection;
  readonly #entrance: SessionEntry;
  readonly #roundTrips: RoundTripMeter;
  readonly #keeper: RoomLogSync;
  readonly #media: MeetingMedia;
  readonly #outbox: ChatOutbox;
  readonly #speakers: SpeakerBoard;
  readonly #own: OwnPeers;
  readonly #confirmation: SessionConfirmation;
  #displayName: string | undefined;
  #loadingRoster: Promise<void> | undefined;
  #joining: Promise<void> | undefined;
  /** Ends the promise of the join under way, which may wait for an answer that nobody is interested in any more. */
  #giveUpJoin: () => void = () => undefined;
  #leaving: Promise<void> | undefined;

  constructor(options: MeetingOptions) {
    this.#options = options;
    this.roomId = ROOM_NAME.parse(options.roomId);
    this.#displayName = options.displayName;
    this.#own = new OwnPeers(options.previousPeerIds);
    this.#patch({ ownPeerIds: this.#own.ids });
    this.#log = options.log ?? consoleLog;
    const log = this.#log;
    const counters = this.counters;
    const request: RequestEdge = (name, payload) => this.request(name, payload);
    this.#connection = new EdgeConnection(options.edgeUrls, {
      port: options.signalling ?? socketSignalling,
      dispatch: this.#dispatch,
      enter: (link, mode) => this.#entrance.enter(link, mode),
      endedAgo: (refused) => this.#entrance.endedAgo(refused),
      notice: (notice) => this.#takeNotice(notice),
      socketOpened: () => this.#clock.note('socketOpen'),
      isMediaSilent: () => this.#media.isSilent,
      counters,
      log,
      joinDeadlineMs: options.joinDeadlineMs ?? 20_000,
      reconnectDeadlineMs: options.reconnectDeadlineMs ?? 300_000,
    });
    this.#roundTrips = new RoundTripMeter(options.probing ?? fetchProbe(), log, (urls) =>
      this.#connection.addEdges(urls),
    );
    this.#entrance = new SessionEntry({
      options,
      roomId: this.roomId,
      displayName: () => this.#displayName,
      lastEventId: () => this.#keeper.room.lastEventId,
      mediaEpoch: () => this.#media.keeper.media?.epoch,
      warm: () => this.#media.keeper.warm(),
      roundTrips: () => this.#roundTrips.within(ROUND_TRIPS_WAIT_MS),
      edgesKnown: (urls) => this.#connection.addEdges(urls),
      joining: () => this.#keeper.clear(),
      joined: (link, reply, warm) => this.#joined(link, reply, warm),
      resumed: (link, reply) => this.#resumed(link, reply),
      clock: this.#clock,
      log,
    });
    this.#keeper = new RoomLogSync({
      sync: (afterEventId) => request('sync', { afterEventId }),
      heard: (event) => {
        if (event.type === 'track.ended') this.#media.publisher.endedByMeeting(event.trackId, event.reason);
      },
      replaced: ({ tracks }) => this.#media.publisher.lookFor(tracks),
      changed: (room) => this.#roomChanged(room),
      canSync: () => this.#connection.entered,
      counters,
      log,
    });
    this.#media = new MeetingMedia(options, {
      request,
      isConnected: () => this.#connection.entered,
      selfPeerId: () => this.#entrance.session?.peerId,
      changed: (change) => this.#patch(change),
      trackEnded: (source) => this.events.emit('local-track-ended', { source }),
      trackFailed: (source, error) => this.events.emit('local-track-failed', { source, error }),
      trackTaken: (source, reason) => this.events.emit('local-track-taken', { source, reason }),
      refused: () => this.#connection.rejoin(),
      clock: this.#clock,
      counters,
      log,
    });
    this.#outbox = new ChatOutbox(
      request,
      () => {
        this.#patch({ outbox: this.#outbox.messages });
      },
      () => this.getSnapshot().self?.peerId,
    );
    this.#confirmation = new SessionConfirmation({
      request,
      token: () => (this.#connection.entered ? this.#entrance.session?.sessionToken : undefined),
      log,
    });
    this.#speakers = new SpeakerBoard((speakers) => {
      this.#patch({ speakers });
    });
  }

  readonly getSnapshot = (): MeetingSnapshot => this.#store.getSnapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.#store.subscribe(listener);

  /** The steps of the last join, in milliseconds since `join()`. */
  get joinTimings(): JoinTimings {
    return this.#clock.timings;
  }

  /** The name that the next join carries. */
  setDisplayName(displayName: string): void {
    this.#displayName = displayName;
  }

  /** The next join asks for a token, whoever one was before: the person says so where the browser does not give what was kept. */
  joinAsNew(): void {
    this.#entrance.forgetTicket();
  }

  /**
   * Some of `previousPeerIds` are somebody else, such as another tab that this one was made from. Each call replaces what the one
   * before said.
   */
  notOneself(peerIds: Iterable<string>): void {
    this.#own.exclude(new Set(peerIds), this.getSnapshot().self?.peerId);
    if (this.#own.ids !== this.getSnapshot().ownPeerIds) this.#patch({ ownPeerIds: this.#own.ids });
  }

  /** Makes everything that needs no permission to join: device, certificate, socket. Safe to call more than once. */
  async prepare(): Promise<void> {
    this.#measure();
    await Promise.all([this.#media.keeper.warm(), this.#connection.warm()]);
  }

  /**
   * Joins the room, after a leave that is under way. Resolves once joined, while media is still connecting; a second call gives
   * the same promise.
   *
   * @throws PlenaryError what the cluster refused with, after the retryable errors were retried
   */
  join(): Promise<void> {
    if (this.#joining !== undefined) return this.#joining;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#joining = promise;
    const end = (): void => {
      if (this.#joining === promise) this.#joining = undefined;
    };
    this.#giveUpJoin = () => {
      end();
      reject(new PlenaryError('session_gone', 'The meeting was left meanwhile.'));
    };
    const isWanted = (): boolean => this.#joining === promise;
    const leaving = this.#leaving;
    const joined = leaving === undefined ? this.#join(isWanted) : leaving.then(() => this.#join(isWanted));
    joined.then(
      () => {
        end();
        resolve();
      },
      (thrown: unknown) => {
        end();
        reject(toPageError(thrown));
      },
    );
    return promise;
  }

  /**
   * Leaves, tells the edge, and frees everything. Own tracks go on, since they belong to the caller. A second call gives the same
   * promise.
   */
  leave(): Promise<void> {
    this.#giveUpJoin();
    this.#leaving ??= this.#leave().finally(() => {
      this.#leaving = undefined;
    });
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    if (this.#connection.entered) {
      try {
        await atMost(pageTimers, LEAVE_WITHIN_MS, this.#connection.request('leave', {}));
      } catch (thrown) {
        this.#log.warn('the edge could not be told of leaving', toPlenaryError(thrown).message);
      }
    }
    this.#dispatch({ type: 'left' });
  }

  /**
   * For `beforeunload`, where the browser closes the page's sockets at that event and not when the page is gone. A page that
   * stays, since the person thought better of it, comes back by itself.
   */
  unloadBegins(): void {
    if (this.#leaving === undefined) this.#connection.announceLeaving();
  }

  /** Leaves without waiting, for `pagehide`, when the page will run no longer. */
  leaveNow(): void {
    this.#giveUpJoin();
    if (this.#leaving === undefined) this.#connection.leaveNow();
    this.#dispatch({ type: 'left' });
  }

  /** The browser says that the network is back: reconnecting does not wait any longer. */
  networkReturned(): void {
    this.#connection.hurry();
  }

  /** Publishes a track; may be called before `join()`, which then takes it along. */
  publish(
    source: TrackSource,
    track: MediaStreamTrack,
    options?: { readonly paused?: boolean },
  ): Promise<void> {
    return this.#media.publisher.publish(source, track, options);
  }

  unpublish(source: TrackSource): void {
    this.#media.publisher.unpublish(source);
  }

  /** Changes the device behind a source; `null` lets go of it while it is muted. */
  replaceTrack(source: TrackSource, track: MediaStreamTrack | null): Promise<void> {
    return this.#media.publisher.replaceTrack(source, track);
  }

  setMuted(source: TrackSource, muted: boolean): void {
    this.#media.publisher.setPaused(source, muted);
  }

  /** Says which videos are on the screen, and how high each is drawn, in CSS pixels. Default: all of them. */
  setWantedVideo(wanted: WantedVideo): void {
    this.#media.subscriptions.setWanted(wanted);
  }

  /** Posts to the chat; `false` when the text is empty or too long. What becomes of it is in the snapshot's outbox. */
  postChat(text: string): boolean {
    return this.#outbox.post(text);
  }

  retryChat(requestId: MeetingSnapshot['outbox'][number]['requestId']): void {
    this.#outbox.retry(requestId);
  }

  /** Loads the next page of the roster, when there is one. Safe to call more than once. */
  loadMoreRoster(): Promise<void> {
    this.#loadingRoster ??= this.#loadRosterPage().finally(() => {
      this.#loadingRoster = undefined;
    });
    return this.#loadingRoster;
  }

  /**
   * Sends a request of the protocol to the edge in use, as the meeting's own go: for what has no method of its own.
   *
   * @throws PlenaryError the edge's error, or `timed_out`, also while no edge is connected
   */
  request<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    return this.#connection.request(name, payload);
  }

  stats(): Promise<MeetingStats> {
    return this.#media.stats();
  }

  /** @param isWanted - whether it was not given up since, and perhaps another one begun */
  async #join(isWanted: () => boolean): Promise<void> {
    if (!isWanted() || isActive(this.getSnapshot().connection)) return;
    this.#clock.start();
    this.#entrance.startAnew();
    // What went on while this person was not there is no news.
    this.#patch({ room: EMPTY_ROOM });
    this.#dispatch({ type: 'join_requested' });
    this.#measure();
    // Device and certificate take some 40 ms, a key some more: they are made while the socket opens, not after. The
    // entrance waits for the same promises and throws what they failed with.
    Promise.all([this.#media.keeper.warm(), this.#entrance.warm()]).catch((thrown: unknown) => {
      this.#log.warn('media or key could not be made ready ahead', thrown);
    });
    try {
      await this.#connection.join();
    } catch (thrown) {
      const error = toPageError(thrown);
      if (isWanted()) this.#dispatch({ type: 'failed', error: error.toWire() });
      throw error;
    }
  }

  #measure(): void {
    const [edgeUrl] = this.#options.edgeUrls;
    if (edgeUrl !== undefined) this.#roundTrips.start(normaliseEdgeUrl(edgeUrl));
  }

  #joined(link: EdgeLink, reply: ClientReply<'join'>, warm: WarmMedia): void {
    this.#takeSession(reply.session);
    this.#connection.admit(link);
    // Media first: its handshakes take longest, and the room is drawn while they run.
    this.#media.keeper.open(warm, reply.media);
    this.#keeper.takeSnapshot(reply.room);
    this.events.emit('room-replaced', { lastEventId: reply.room.lastEventId });
    this.#outbox.resendFailed();
  }

  #resumed(link: EdgeLink, reply: ClientReply<'resume'>): void {
    this.#connection.admit(link);
    this.#takeSession(reply.session);
    this.#confirmation.tellLater();
    if (reply.catchUp.type === 'snapshot') this.#keeper.takeSnapshot(reply.catchUp.room);
    else this.#keeper.takeCatchUp(reply.catchUp.events);
    this.#media.resumed(reply.mediaAlive);
    this.#outbox.resendFailed();
  }

  #takeSession(session: Session): void {
    this.#connection.edgesChanged(session.edges, session.edgeId);
    this.#own.add(session.peerId);
    this.#patch({
      self: { peerId: session.peerId, displayName: session.displayName, role: session.role },
      ownPeerIds: this.#own.ids,
      openToGuests: session.openToGuests,
      edgeId: session.edgeId,
    });
  }

  #takeNotice(notice: NoticeOfMeeting): void {
    switch (notice.name) {
      case 'event':
        this.#keeper.takeEvent(notice.payload);
        break;
      case 'head':
        this.#keeper.takeHead(notice.payload.lastEventId);
        break;
      case 'edges':
        this.#connection.edgesChanged(notice.payload.edges, this.#entrance.session?.edgeId);
        break;
      case 'speakers':
        this.#speakers.hear(notice.payload);
        break;
      case 'publishing.limited':
        this.#log.warn('this client sends more than it may', notice.payload);
        if (notice.payload.step === 'warned') this.events.emit('publishing-warned', notice.payload);
        // That tracks ended is told by their events.
        else if (notice.payload.step === 'paused') this.#media.publisher.pausedByMeeting();
        break;
      case 'track.demand':
        this.#media.publisher.setWanted(notice.payload.trackId, notice.payload.wanted);
        break;
      case 'consumer.closed':
        this.#media.subscriptions.consumerClosed(notice.payload);
        break;
      case 'consumer.superseded':
        this.#media.subscriptions.consumerSuperseded(notice.payload.consumerId, notice.payload.trackId);
        break;
      case 'media.lost':
        this.#media.keeper.lostAt(notice.payload.epoch);
        break;
      case 'media.move':
        this.#media.keeper.move(notice.payload.epoch);
        break;
      case 'session.renewed':
        this.#entrance.renew(notice.payload.sessionToken);
        this.#confirmation.tell(notice.payload.sessionToken);
        break;
      case 'refused':
        this.#log.warn('the edge refused a message', notice.payload.message);
        this.events.emit('problem', PlenaryError.fromWire(notice.payload));
        break;
    }
  }

  #roomChanged(room: RoomState): void {
    const before = this.#store.getSnapshot().room;
    this.#patch({ room });
    this.#media.subscriptions.setTracks(room.tracks, (peerId) => mayBeHere(room, peerId));
    this.#outbox.dropShown(room.chat);
    announceChanges(this.events, roomChanges(before, room, this.getSnapshot().ownPeerIds));
    // A tile needs its person's name, and so does a raised hand: load pages until all of them are known.
    const shown = [...room.tracks.values(), ...room.entries.values()];
    const nameless = shown.some(({ peerId }) => peerId !== undefined && !room.peers.has(peerId));
    if (nameless && room.nextCursor !== undefined) {
      this.loadMoreRoster().catch((thrown: unknown) => {
        this.#log.warn('a roster page could not be loaded', toPlenaryError(thrown).message);
      });
    }
  }

  async #loadRosterPage(): Promise<void> {
    const cursor = this.#keeper.room.nextCursor;
    if (cursor === undefined) return;
    const page = await this.#connection.request('roster.page', { cursor });
    this.#keeper.change((room) => (room.nextCursor === cursor ? applyRosterPage(room, page) : room));
  }

  #patch(change: Partial<MeetingSnapshot>): void {
    this.#store.update((snapshot) => ({ ...snapshot, ...change }));
  }

  readonly #dispatch = (event: ConnectionEvent): void => {
    const before = this.getSnapshot().connection;
    const after = nextConnectionState(before, event);
    if (after === before) return;
    // First the end itself, so that whoever hears of it finds nothing running any more.
    if (!isActive(after)) this.#shutDown();
    this.#patch({ connection: after });
  };

  #shutDown(): void {
    this.#confirmation.stop();
    this.#connection.stop();
    this.#keeper.stop();
    this.#outbox.stop();
    this.#speakers.stop();
    this.#entrance.startAnew();
    this.#media.close();
    this.#patch({ speakers: [] });
  }
}

/** Makes a meeting; nothing happens before `prepare()` or `join()`. */
export function createMeeting(options: MeetingOptions): Meeting {
  return new Meeting(options);
}
