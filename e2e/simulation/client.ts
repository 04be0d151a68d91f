import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { DatacenterId, ErrorCode, EventId, PeerId, RequestId, RoomId, TrackId } from '@plenary/cluster';
import { compareEventIds, roomNameOf, tenantOf } from '@plenary/cluster/ids';
import { EDGE_NOTICES, PROTOCOL_VERSION, REQUEST_TIMEOUT_MS } from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  HeardEvent,
  RoomTrack,
  TrackSource,
} from '@plenary/cluster/protocol';
import { bear } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { SAMPLE_SESSION_KEY } from '@plenary/cluster/testing/samples';
import type { Wire } from '@plenary/cluster/testing/simulation/wire';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import { openLink, type ClientLink } from './client-link.ts';
import type { ClientPublications } from './client-publications.ts';
import { MEDIA_REQUEST, RequestIds } from './client-requests.ts';
import type { ClientSubscriptions, Demand } from './client-subscriptions.ts';
import { ClientTracks } from './client-tracks.ts';
import type { SimulatedEdge } from './edge.ts';
import type { Ether } from './engine/host.ts';
import { RoomCopy } from './room-copy.ts';
import type { Tokens } from './tokens.ts';

export interface ClientPlan {
  readonly name: string;
  readonly roomId: RoomId;
  readonly datacenter: DatacenterId;
}

/** What a client sees of the world. */
export interface ClientWorld {
  readonly net: Net;
  readonly ether: Ether;
  readonly tokens: Tokens;
  /** An edge that can be reached, other than the one named, if there is one. */
  readonly anyEdge: (but?: SimulatedEdge) => SimulatedEdge | undefined;
}

/** What is under way on the connection in use is waited for so long before another edge is asked, in milliseconds. */
const ANSWERED_WITHIN_MS = 1_000;
/** So long another edge may take to take the session up while requests wait, in milliseconds. */
const RESUMED_WITHIN_MS = 2_000;
/** How often what is wanted is compared with what is there, in milliseconds. */
const PURSUE_MS = 2_000;
const PROOF = 'A'.repeat(86);

/** After these a session cannot be resumed any more. */
const ENDED: ReadonlySet<string> = new Set<ErrorCode>(['session_gone', 'token_invalid', 'token_replayed']);

/**
 * A person's client as the protocol asks it to be: it comes back after every loss, with the same session where that lives,
 * asks for what it missed, and goes on until it has what it wants.
 */
export class SimulatedClient {
  readonly plan: ClientPlan;
  readonly life: Life;
  readonly #world: ClientWorld;
  readonly #token: string;
  readonly #tracks: ClientTracks;
  #link: ClientLink | undefined;
  /** The connection that is opened beside the one in use, whose edge will go. */
  #next: ClientLink | undefined;
  /** Another edge is asked to take the session up: requests wait for its answer. */
  #resuming: Promise<void> | undefined;
  #wasAskedElsewhere = false;
  #handovers = 0;
  readonly #requestIds: RequestIds;
  #joinRequestId: RequestId | undefined;
  #sessionToken: string | undefined;
  #peerId: PeerId | undefined;
  #room: RoomCopy | undefined;
  #isJoined = false;
  #isLeaving = false;
  #isSyncing = false;
  #isHandUp: boolean | undefined = false;
  #handChanges = 0;

  constructor(world: ClientWorld, plan: ClientPlan) {
    this.#world = world;
    this.plan = plan;
    this.#requestIds = new RequestIds(plan.name);
    this.life = bear(plan.name);
    const { roomId, datacenter, name } = plan;
    this.#token = world.tokens.ofJoin(tenantOf(roomId), {
      sub: name,
      room: roomNameOf(roomId),
      name,
      role: 'speaker',
      publish: ['microphone', 'camera', 'screen', 'screen-audio'],
      datacenter,
    });
    this.#tracks = new ClientTracks(world, {
      try: (request, payload) => this.#try(request, payload),
      nextRequestId: () => this.#requestIds.next(),
      isReady: () => this.#isJoined && !this.#isLeaving,
      tracks: () => this.#room?.tracks ?? new Map<TrackId, RoomTrack>(),
    });
  }

  /** Whether it is in its room, as far as it knows. */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  get isMediaOpen(): boolean {
    return this.#tracks.media.isOpen;
  }

  /** Whether two media are open: it has not moved altogether. */
  get isMoving(): boolean {
    return this.#tracks.media.isMoving;
  }

  /** How often it had to open media although it has not asked for that. */
  get lossesOfMedia(): number {
    return this.#tracks.media.losses;
  }

  /** How often another edge took the session over while the one in use went on. */
  get handovers(): number {
    return this.#handovers;
  }

  get peerId(): PeerId | undefined {
    return this.#peerId;
  }

  get room(): RoomCopy | undefined {
    return this.#room;
  }

  get publications(): ClientPublications['bySource'] {
    return this.#tracks.publications.bySource;
  }

  get demands(): ClientSubscriptions['demands'] {
    return this.#tracks.subscriptions.demands;
  }

  get consumers(): ClientSubscriptions['consumers'] {
    return this.#tracks.subscriptions.consumers;
  }

  /** Its connection, while there is one. */
  get wire(): Wire | undefined {
    const wire = this.#link?.wire;
    return wire?.isCut === false ? wire : undefined;
  }

  /** To be called as the process. */
  start(): void {
    this.#connect();
    setInterval(() => void this.#tracks.pursue(), PURSUE_MS);
  }

  /** Leaves as a person does who closes the meeting. To be called as the process. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    const goodbye = this.#isJoined ? this.#ask('leave', {}) : Promise.resolve();
    void goodbye.then(this.#end, this.#end);
  }

  /** The process ends without a word; media nodes notice by ICE. */
  vanish(): void {
    if (!this.life.alive) return;
    this.life.alive = false;
    this.#link?.wire.cut();
    this.#next?.wire.cut();
    this.#tracks.media.close();
  }

  publish(source: TrackSource): void {
    if (this.#tracks.publications.publish(source)) void this.#tracks.pursue();
  }

  unpublish(source: TrackSource): void {
    if (this.#tracks.publications.unpublish(source)) void this.#tracks.pursue();
  }

  mute(source: TrackSource, paused: boolean): void {
    this.#tracks.publications.mute(source, paused);
  }

  watch(trackId: TrackId, wish: Demand): void {
    this.#tracks.subscriptions.watch(trackId, wish);
    void this.#tracks.pursue();
  }

  unwatch(trackId: TrackId): void {
    this.#tracks.subscriptions.unwatch(trackId);
  }

  chat(): void {
    void this.#try('chat.post', { requestId: this.#requestIds.next(), text: 'hello' });
  }

  /** Whether its hand is up, by the edge's answers; `undefined` where one is missing. */
  get isHandUp(): boolean | undefined {
    return this.#isHandUp;
  }

  raiseHand(): void {
    void this.#changeHand('hand.raise');
  }

  lowerHand(): void {
    void this.#changeHand('hand.lower');
  }

  async #changeHand(name: 'hand.raise' | 'hand.lower'): Promise<void> {
    this.#handChanges += 1;
    const change = this.#handChanges;
    this.#isHandUp = undefined;
    const reply = await this.#try(name, {});
    if (reply !== undefined && change === this.#handChanges) this.#isHandUp = name === 'hand.raise';
  }

  readonly #end = (): void => {
    this.life.alive = false;
    this.#link?.wire.close('caller');
    this.#next?.wire.close('caller');
    this.#tracks.media.close();
  };

  #connect(): void {
    const edge = this.#world.anyEdge();
    if (edge === undefined) {
      this.#connectLater();
      return;
    }
    const link: ClientLink = this.#open(
      edge,
      () => void this.#enter(link),
      () => {
        this.#disconnected(link);
      },
    );
    this.#link = link;
  }

  #open(edge: SimulatedEdge, opened: () => void, closed: () => void): ClientLink {
    const link: ClientLink = openLink(this.#world.net, this.life, edge, {
      opened,
      closed,
      notice: (name, payload) => {
        if (this.#link === link || this.#next === link) this.#take(link, name, payload);
      },
    });
    return link;
  }

  #connectLater(): void {
    setTimeout(
      () => {
        if (this.#link === undefined) this.#connect();
      },
      this.#world.net.random.between(200, 1_500),
    );
  }

  #disconnected(link: ClientLink): void {
    // While another edge is asked, that one may be what ended it.
    if (this.#link !== link || this.#wasAskedElsewhere) return;
    this.#lost();
  }

  #lost(): void {
    this.#link = undefined;
    this.#isJoined = false;
    if (!this.#isLeaving) this.#connectLater();
  }

  /** The edge in use will go: the session goes to another one meanwhile. Tries until that is done, or the edge is gone. */
  async #handOver(from: ClientLink): Promise<void> {
    if (this.#next !== undefined || !this.#isJoined) return;
    while (this.#link === from && from.wire.isOpen('caller') && !this.#isLeaving) {
      const edge = this.#world.anyEdge(from.edge);
      const next = edge === undefined ? undefined : await this.#openBeside(edge);
      if (next !== undefined && (await this.#goOver(from, next))) break;
      next?.wire.close('caller');
      this.#next = undefined;
      await sleep(this.#world.net.random.between(200, 1_500));
    }
    this.#next = undefined;
  }

  #openBeside(edge: SimulatedEdge): Promise<ClientLink | undefined> {
    return new Promise((resolve) => {
      const next: ClientLink = this.#open(
        edge,
        () => {
          resolve(next);
        },
        () => {
          resolve(undefined);
          if (this.#link === next) this.#disconnected(next);
        },
      );
      this.#next = next;
    });
  }

  /** @returns whether the other edge has the session */
  async #goOver(from: ClientLink, next: ClientLink): Promise<boolean> {
    const sessionToken = this.#sessionToken;
    if (this.#link !== from || sessionToken === undefined) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resuming = promise;
    const timer = setTimeout(() => {
      next.wire.close('caller');
    }, ANSWERED_WITHIN_MS + RESUMED_WITHIN_MS);
    try {
      for (let waitedMs = 0; from.underWay > 0 && waitedMs < ANSWERED_WITHIN_MS; waitedMs += 50)
        await sleep(50);
      if (this.#link !== from || this.#isLeaving) return false;
      this.#wasAskedElsewhere = true;
      const resumed = await next.calls.ask('resume', this.#resumption(sessionToken), REQUEST_TIMEOUT_MS);
      this.#link = next;
      this.#handovers += 1;
      from.wire.close('caller');
      this.#resumed(resumed);
      return true;
    } catch (fault) {
      if (!(fault instanceof PlenaryError)) throw fault;
      return false;
    } finally {
      clearTimeout(timer);
      this.#wasAskedElsewhere = false;
      this.#resuming = undefined;
      resolve();
      if (this.#link === from && !from.wire.isOpen('caller')) this.#lost();
      if (this.#link === next) {
        void this.#try('session.confirm', { sessionToken: this.#sessionToken ?? sessionToken });
        void this.#tracks.pursue();
      }
    }
  }

  async #enter(link: ClientLink): Promise<void> {
    try {
      if (this.#sessionToken === undefined) await this.#join();
      else this.#resumed(await this.#ask('resume', this.#resumption(this.#sessionToken)));
      this.#isJoined = this.#link === link;
      if (this.#sessionToken !== undefined)
        void this.#try('session.confirm', { sessionToken: this.#sessionToken });
      void this.#tracks.pursue();
    } catch (fault) {
      const { code } = toPlenaryError(fault);
      if (ENDED.has(code)) this.#forgetSession();
      // Another connection, perhaps to another edge, may do better.
      link.wire.close('caller');
    }
  }

  async #join(): Promise<void> {
    this.#joinRequestId ??= this.#requestIds.next();
    const { session, room, media } = await this.#ask('join', {
      protocolVersion: PROTOCOL_VERSION,
      requestId: this.#joinRequestId,
      roomId: roomNameOf(this.plan.roomId),
      token: this.#token,
      sessionKey: SAMPLE_SESSION_KEY,
      media: MEDIA_REQUEST,
    });
    this.#joinRequestId = undefined;
    this.#sessionToken = session.sessionToken;
    this.#peerId = session.peerId;
    this.#room = new RoomCopy(room);
    this.#tracks.openedMedia(media);
  }

  #resumption(sessionToken: string): ClientRequestInput<'resume'> {
    const lastEventId = this.#room?.lastEventId;
    if (lastEventId === undefined) throw new PlenaryError('session_gone');
    return {
      protocolVersion: PROTOCOL_VERSION,
      roomId: roomNameOf(this.plan.roomId),
      sessionToken,
      proof: PROOF,
      lastEventId,
      epoch: this.#tracks.media.epoch,
    };
  }

  #resumed({ session, catchUp, mediaAlive }: ClientReply<'resume'>): void {
    this.#sessionToken = session.sessionToken;
    this.#caughtUp(catchUp);
    if (!mediaAlive) this.#tracks.lostMedia();
  }

  #forgetSession(): void {
    this.#sessionToken = undefined;
    this.#joinRequestId = undefined;
    this.#peerId = undefined;
    this.#room = undefined;
    // The hand went with the peer.
    this.#isHandUp = false;
    this.#handChanges += 1;
    this.#tracks.lostMedia();
  }

  #take(link: ClientLink, name: string, payload: unknown): void {
    switch (name) {
      case 'event':
        this.#heard(EDGE_NOTICES.event.payload.parse(payload));
        break;
      case 'head':
        this.#heardHead(EDGE_NOTICES.head.payload.parse(payload).lastEventId);
        break;
      case 'consumer.closed': {
        const { consumerId, trackId } = EDGE_NOTICES['consumer.closed'].payload.parse(payload);
        this.#tracks.subscriptions.closed(consumerId, trackId);
        void this.#tracks.pursue();
        break;
      }
      case 'consumer.superseded': {
        const { consumerId, trackId } = EDGE_NOTICES['consumer.superseded'].payload.parse(payload);
        this.#tracks.subscriptions.superseded(consumerId, trackId);
        void this.#tracks.pursue();
        break;
      }
      case 'media.lost': {
        const { epoch } = EDGE_NOTICES['media.lost'].payload.parse(payload);
        // The media that is being left may end before everything goes by the other one.
        if (this.#tracks.media.epoch !== undefined && epoch >= this.#tracks.media.epoch)
          this.#tracks.lostMedia();
        void this.#tracks.pursue();
        break;
      }
      case 'media.move':
        this.#tracks.media.leave(EDGE_NOTICES['media.move'].payload.parse(payload).epoch);
        void this.#tracks.pursue();
        break;
      case 'edge.leaving':
        if (this.#link === link) void this.#handOver(link);
        break;
      case 'bye':
        // Of the edges that are asked at once, the answer of the other one decides.
        if (this.#link !== link || this.#wasAskedElsewhere) break;
        if (EDGE_NOTICES.bye.payload.parse(payload).code === 'session_gone') this.#forgetSession();
        break;
    }
  }

  #heard(event: HeardEvent): void {
    const room = this.#room;
    if (room === undefined || !this.#isJoined) return;
    if (!room.apply(event, (id) => compareEventIds(id, room.lastEventId) > 0)) void this.#sync();
  }

  #heardHead(lastEventId: EventId): void {
    if (this.#room !== undefined && lastEventId !== this.#room.lastEventId) void this.#sync();
  }

  async #sync(): Promise<void> {
    const afterEventId = this.#room?.lastEventId;
    if (this.#isSyncing || afterEventId === undefined) return;
    this.#isSyncing = true;
    const caughtUp = await this.#try('sync', { afterEventId });
    this.#isSyncing = false;
    if (caughtUp !== undefined) this.#caughtUp(caughtUp);
  }

  #caughtUp(caughtUp: ClientReply<'sync'>): void {
    const room = this.#room;
    if (room === undefined) return;
    if (caughtUp.type === 'snapshot') {
      room.replace(caughtUp.room);
      // The store forgot this session: it is as one that left.
      if (this.#peerId === undefined || room.peers.has(this.#peerId)) return;
      this.#forgetSession();
      this.#link?.wire.close('caller');
      return;
    }
    for (const event of caughtUp.events) room.apply(event, (id) => compareEventIds(id, room.lastEventId) > 0);
  }

  /** Asks, and takes a failure for an answer: what it says of media and session is noted. */
  async #try<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name> | undefined> {
    const { epoch } = this.#tracks.media;
    try {
      return await this.#ask(name, payload);
    } catch (fault) {
      const { code } = toPlenaryError(fault);
      const isOfMedia = ['media_lost', 'stale_epoch', 'transport_not_found'].includes(code);
      if (isOfMedia && this.#tracks.media.epoch === epoch) this.#tracks.lostMedia();
      if (code === 'session_gone') {
        this.#forgetSession();
        this.#link?.wire.close('caller');
      }
      return undefined;
    }
  }

  #ask<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    if (this.#resuming !== undefined && name !== 'leave')
      return this.#resuming.then(() => this.#ask(name, payload));
    const link = this.#link;
    if (link === undefined) return Promise.reject(new PlenaryError('timed_out'));
    link.underWay += 1;
    return link.calls.ask(name, payload, REQUEST_TIMEOUT_MS).finally(() => {
      link.underWay -= 1;
    });
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
