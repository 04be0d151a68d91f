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
import { EdgeConnection, type MeetingNotice } from './edge-connection.ts';
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
import { EMPTY_ROOM, applyRosterPage, mayBePresent, type RoomState } from './room-state.ts';
import { RoundTripMeter } from './round-trips.ts';
import type { EdgeLink } from './rpc.ts';
import { SessionConfirmation } from './session-confirmation.ts';
import { socketSignalling } from './socket-signalling.ts';
import { SpeakerBoard } from './speaker-board.ts';
import type { MeetingStats } from './stats.ts';
import { Store, type ReadableStore } from './store.ts';
import { TypedEvents } from './typed-events.ts';
import type { WarmMedia } from './warm-up.ts';

/** How long a leave waits for the edge, in milliseconds. */
const LEAVE_WITHIN_MS = 1_000;
/** How long a join waits for a running measurement of round trips, in milliseconds. */
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

/** One person's presence in one room, across changes of edges and media nodes. Knows no user interface. */
export class Meeting implements ReadableStore<MeetingSnapshot> {
  readonly roomId: RoomName;
  readonly counters: Counters = newCounters();
  readonly events = new TypedEvents<MeetingEvents>();
  readonly #options: MeetingOptions;
  readonly #log: ClientLog;
  // Listeners run in the next turn, so that a join hands its transports to the browser before the page renders.
  readonly #store = new Store<MeetingSnapshot>(INITIAL, 'next-turn');
  readonly #clock = new JoinClock();
  readonly #connection: EdgeConnection;
  readonly #entry: SessionEntry;
  readonly #roundTrips: RoundTripMeter;
  readonly #roomSync: RoomLogSync;
  readonly #media: MeetingMedia;
  readonly #outbox: ChatOutbox;
  readonly #speakers: SpeakerBoard;
  readonly #ownPeers: OwnPeers;
  readonly #confirmation: SessionConfirmation;
  #displayName: string | undefined;
  #loadingRoster: Promise<void> | undefined;
  #joining: Promise<void> | undefined;
  /** Rejects the promise of a pending join, so that it does not wait for an answer that is no longer needed. */
  #abandonJoin: () => void = () => undefined;
  #leaving: Promise<void> | undefined;

  constructor(options: MeetingOptions) {
    this.#options = options;
    this.roomId = ROOM_NAME.parse(options.roomId);
    this.#displayName = options.displayName;
    this.#ownPeers = new OwnPeers(options.previousPeerIds);
    this.#patch({ ownPeerIds: this.#ownPeers.ids });
    this.#log = options.log ?? consoleLog;
    const log = this.#log;
    const counters = this.counters;
    const request: RequestEdge = (name, payload) => this.request(name, payload);
    this.#connection = new EdgeConnection(options.edgeUrls, {
      port: options.signalling ?? socketSignalling,
      dispatch: this.#dispatch,
      enter: (link, mode) => this.#entry.enter(link, mode),
      secondsSinceExpiry: (refused) => this.#entry.secondsSinceExpiry(refused),
      notice: (notice) => this.#handleNotice(notice),
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
    this.#entry = new SessionEntry({
      options,
      roomId: this.roomId,
      displayName: () => this.#displayName,
      lastEventId: () => this.#roomSync.room.lastEventId,
      mediaEpoch: () => this.#media.keeper.media?.epoch,
      warm: () => this.#media.keeper.warm(),
      roundTrips: () => this.#roundTrips.within(ROUND_TRIPS_WAIT_MS),
      edgesKnown: (urls) => this.#connection.addEdges(urls),
      joining: () => this.#roomSync.clear(),
      joined: (link, reply, warm) => this.#joined(link, reply, warm),
      resumed: (link, reply) => this.#resumed(link, reply),
      clock: this.#clock,
      log,
    });
    this.#roomSync = new RoomLogSync({
      sync: (afterEventId) => request('sync', { afterEventId }),
      heard: (event) => {
        if (event.type === 'track.ended') this.#media.publisher.endedByMeeting(event.trackId, event.reason);
      },
      replaced: ({ tracks }) => this.#media.publisher.verifyTracks(tracks),
      changed: (room) => this.#roomChanged(room),
      canSync: () => this.#connection.entered,
      counters,
      log,
    });
    this.#media = new MeetingMedia(options, {
      request,
      isConnected: () => this.#connection.entered,
      selfPeerId: () => this.#entry.session?.peerId,
      changed: (change) => this.#patch(change),
      trackEnded: (source) => this.events.emit('local-track-ended', { source }),
      trackFailed: (source, error) => this.events.emit('local-track-failed', { source, error }),
      trackStopped: (source, reason) => this.events.emit('local-track-stopped', { source, reason }),
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
      token: () => (this.#connection.entered ? this.#entry.session?.sessionToken : undefined),
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

  /** Sets the name for the next join. */
  setDisplayName(displayName: string): void {
    this.#displayName = displayName;
  }

  /** Makes the next join request a new token. For a person who chooses this because the stored rejoin ticket cannot be read. */
  joinAsNew(): void {
    this.#entry.ignoreTicket();
  }

  /**
   * Excludes ids of `previousPeerIds` that belong to somebody else, for example to the tab that this one was duplicated from. Each call
   * replaces the exclusions of the previous one.
   */
  excludeOwnPeers(peerIds: Iterable<string>): void {
    this.#ownPeers.exclude(new Set(peerIds), this.getSnapshot().self?.peerId);
    if (this.#ownPeers.ids !== this.getSnapshot().ownPeerIds) this.#patch({ ownPeerIds: this.#ownPeers.ids });
  }

  /** Prepares everything that needs no admission: device, certificate, socket. Safe to call more than once. */
  async prepare(): Promise<void> {
    this.#measureRoundTrips();
    await Promise.all([this.#media.keeper.warm(), this.#connection.warm()]);
  }

  /**
   * Joins the room, after a pending leave. Resolves when the room is joined, while the media session is still connecting. A second call
   * returns the same promise.
   *
   * @throws PlenaryError the cluster's refusal, after retries of retryable errors
   */
  join(): Promise<void> {
    if (this.#joining !== undefined) return this.#joining;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#joining = promise;
    const end = (): void => {
      if (this.#joining === promise) this.#joining = undefined;
    };
    this.#abandonJoin = () => {
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
   * Leaves the room, notifies the edge, and frees all resources. Own tracks go on, because they belong to the caller. A second call
   * returns the same promise.
   */
  leave(): Promise<void> {
    this.#abandonJoin();
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
        this.#log.warn('the edge could not be notified of the leave', toPlenaryError(thrown).message);
      }
    }
    this.#dispatch({ type: 'left' });
  }

  /**
   * Notifies the edge on `beforeunload`, for browsers that close the page's sockets at that event and not at `pagehide`. If the person
   * decides to stay, the client joins again automatically.
   */
  unloadBegins(): void {
    if (this.#leaving === undefined) this.#connection.announceLeaving();
  }

  /** Leaves without waiting, for `pagehide`, after which the page runs no more. */
  leaveNow(): void {
    this.#abandonJoin();
    if (this.#leaving === undefined) this.#connection.leaveNow();
    this.#dispatch({ type: 'left' });
  }

  /** Reconnects at once, because the browser reports that the network is back. */
  networkReturned(): void {
    this.#connection.retryNow();
  }

  /** Publishes a track. If called before `join()`, the join publishes it. */
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

  /** Changes the device of a source; `null` releases the device while the source is muted. */
  replaceTrack(source: TrackSource, track: MediaStreamTrack | null): Promise<void> {
    return this.#media.publisher.replaceTrack(source, track);
  }

  setMuted(source: TrackSource, muted: boolean): void {
    this.#media.publisher.setPaused(source, muted);
  }

  /** Sets which videos are on the screen, with the height of each in CSS pixels. Default: all. */
  setWantedVideo(wanted: WantedVideo): void {
    this.#media.subscriptions.setWanted(wanted);
  }

  /** Posts to the chat; `false` when the text is empty or too long. The snapshot's outbox shows the progress. */
  postChat(text: string): boolean {
    return this.#outbox.post(text);
  }

  retryChat(requestId: MeetingSnapshot['outbox'][number]['requestId']): void {
    this.#outbox.retry(requestId);
  }

  /** Loads the next page of the roster, if there is one. Safe to call more than once. */
  loadMoreRoster(): Promise<void> {
    this.#loadingRoster ??= this.#loadRosterPage().finally(() => {
      this.#loadingRoster = undefined;
    });
    return this.#loadingRoster;
  }

  /**
   * Sends a protocol request to the current edge. For requests without their own method here.
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

  /** @param isWanted - returns `false` after this join was abandoned, even if another one began */
  async #join(isWanted: () => boolean): Promise<void> {
    if (!isWanted() || isActive(this.getSnapshot().connection)) return;
    this.#clock.start();
    this.#entry.reset();
    // Events from the time of absence are not announced.
    this.#patch({ room: EMPTY_ROOM });
    this.#dispatch({ type: 'join_requested' });
    this.#measureRoundTrips();
    // Device and certificate take some 40 ms, a key some more: they are created while the socket opens. The session entry waits for the
    // same promises and throws their errors.
    Promise.all([this.#media.keeper.warm(), this.#entry.warm()]).catch((thrown: unknown) => {
      this.#log.warn('device or key could not be prepared ahead of the join', thrown);
    });
    try {
      await this.#connection.join();
    } catch (thrown) {
      const error = toPageError(thrown);
      if (isWanted()) this.#dispatch({ type: 'failed', error: error.toWire() });
      throw error;
    }
  }

  #measureRoundTrips(): void {
    const [edgeUrl] = this.#options.edgeUrls;
    if (edgeUrl !== undefined) this.#roundTrips.start(normaliseEdgeUrl(edgeUrl));
  }

  #joined(link: EdgeLink, reply: ClientReply<'join'>, warm: WarmMedia): void {
    this.#applySession(reply.session);
    this.#connection.admit(link);
    // The media session comes first: its handshakes take longest, and the room renders meanwhile.
    this.#media.keeper.open(warm, reply.media);
    this.#roomSync.receiveSnapshot(reply.room);
    this.events.emit('room-replaced', { lastEventId: reply.room.lastEventId });
    this.#outbox.resendFailed();
  }

  #resumed(link: EdgeLink, reply: ClientReply<'resume'>): void {
    this.#connection.admit(link);
    this.#applySession(reply.session);
    this.#confirmation.confirmLater();
    if (reply.catchUp.type === 'snapshot') this.#roomSync.receiveSnapshot(reply.catchUp.room);
    else this.#roomSync.receiveCatchUp(reply.catchUp.events);
    this.#media.resumed(reply.mediaAlive);
    this.#outbox.resendFailed();
  }

  #applySession(session: Session): void {
    this.#connection.edgesChanged(session.edges, session.edgeId);
    this.#ownPeers.add(session.peerId);
    this.#patch({
      self: { peerId: session.peerId, displayName: session.displayName, role: session.role },
      ownPeerIds: this.#ownPeers.ids,
      openToGuests: session.openToGuests,
      edgeId: session.edgeId,
    });
  }

  #handleNotice(notice: MeetingNotice): void {
    switch (notice.name) {
      case 'event':
        this.#roomSync.receiveEvent(notice.payload);
        break;
      case 'head':
        this.#roomSync.receiveHead(notice.payload.lastEventId);
        break;
      case 'edges':
        this.#connection.edgesChanged(notice.payload.edges, this.#entry.session?.edgeId);
        break;
      case 'speakers':
        this.#speakers.hear(notice.payload);
        break;
      case 'publishing.limited':
        this.#log.warn('this client sends more than it may', notice.payload);
        if (notice.payload.step === 'warned') this.events.emit('publishing-warned', notice.payload);
        // Events of the room log report ended tracks.
        else if (notice.payload.step === 'paused') this.#media.publisher.pausedByMeeting();
        break;
      case 'track.demand':
        this.#media.publisher.setDemand(notice.payload.trackId, notice.payload.wanted);
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
        this.#entry.renew(notice.payload.sessionToken);
        this.#confirmation.confirm(notice.payload.sessionToken);
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
    this.#media.subscriptions.setTracks(room.tracks, (peerId) => mayBePresent(room, peerId));
    this.#outbox.dropShown(room.chat);
    announceChanges(this.events, roomChanges(before, room, this.getSnapshot().ownPeerIds));
    // Tiles and raised hands show names, so roster pages are loaded until all these names are known.
    const shown = [...room.tracks.values(), ...room.entries.values()];
    const nameless = shown.some(({ peerId }) => peerId !== undefined && !room.peers.has(peerId));
    if (nameless && room.nextCursor !== undefined) {
      this.loadMoreRoster().catch((thrown: unknown) => {
        this.#log.warn('a roster page could not be loaded', toPlenaryError(thrown).message);
      });
    }
  }

  async #loadRosterPage(): Promise<void> {
    const cursor = this.#roomSync.room.nextCursor;
    if (cursor === undefined) return;
    const page = await this.#connection.request('roster.page', { cursor });
    this.#roomSync.change((room) => (room.nextCursor === cursor ? applyRosterPage(room, page) : room));
  }

  #patch(change: Partial<MeetingSnapshot>): void {
    this.#store.update((snapshot) => ({ ...snapshot, ...change }));
  }

  readonly #dispatch = (event: ConnectionEvent): void => {
    const before = this.getSnapshot().connection;
    const after = nextConnectionState(before, event);
    if (after === before) return;
    // Everything stops before listeners are notified of the end.
    if (!isActive(after)) this.#shutDown();
    this.#patch({ connection: after });
  };

  #shutDown(): void {
    this.#confirmation.stop();
    this.#connection.stop();
    this.#roomSync.stop();
    this.#outbox.stop();
    this.#speakers.stop();
    this.#entry.reset();
    this.#media.close();
    this.#patch({ speakers: [] });
  }
}

/** Creates a meeting. Nothing happens before `prepare()` or `join()`. */
export function createMeeting(options: MeetingOptions): Meeting {
  return new Meeting(options);
}
