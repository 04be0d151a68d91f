import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type {
  ConsumerId,
  DatacenterId,
  Epoch,
  ErrorCode,
  EventId,
  PeerId,
  RequestId,
  RoomId,
  TrackId,
  TransportId,
} from '@plenary/cluster';
import { compareEventIds, REQUEST_ID, roomNameOf, tenantOf, TRANSPORT_ID } from '@plenary/cluster/ids';
import {
  CLIENT_REQUESTS,
  EDGE_NOTICES,
  KIND_OF_SOURCE,
  PROTOCOL_VERSION,
  REQUEST_TIMEOUT_MS,
} from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  HeardEvent,
  MediaOffer,
  MediaRequest,
  RoomTrack,
  MediaKind,
  RtpParameters,
  TrackSource,
} from '@plenary/cluster/protocol';
import { Calls } from '@plenary/cluster/testing/simulation/calls';
import { bear } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { SAMPLE_SESSION_KEY } from '@plenary/cluster/testing/samples';
import { Wire } from '@plenary/cluster/testing/simulation/wire';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
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

/** What the client wants of a track of somebody else. */
export interface Wish {
  paused: boolean;
}

interface Publication {
  readonly source: TrackSource;
  requestId: RequestId;
  trackId: TrackId | undefined;
  paused: boolean;
  /** No longer wanted: it is ended as soon as its id is known, and is then forgotten. */
  isEnded: boolean;
  /** The track on the media that is being left, whose place it is to take. */
  replaces: TrackId | undefined;
  /** Its end was asked for: unanswered, that may still be carried out, however late. Wanted again, it needs another track. */
  isEnding: boolean;
}

/** A connection to an edge. */
interface Link {
  readonly edge: SimulatedEdge;
  readonly wire: Wire;
  readonly calls: Calls<typeof CLIENT_REQUESTS>;
  /** What was asked over it and is not answered. */
  underWay: number;
}

const CONNECT_TIMEOUT_MS = 3_000;
/** What is under way on the connection in use is waited for so long before another edge is asked, in milliseconds. */
const ANSWERED_WITHIN_MS = 1_000;
/** So long another edge may take to take the session up while requests wait, in milliseconds. */
const RESUMED_WITHIN_MS = 2_000;
/** How often what is wanted is compared with what is there, in milliseconds. */
const PURSUE_MS = 2_000;
/** mediasoup notices that a client is gone after this time, in milliseconds. */
const ICE_TIMEOUT_MS = 30_000;

const RTP: Readonly<Record<MediaKind, RtpParameters>> = {
  audio: {
    codecs: [{ mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }],
    encodings: [{ ssrc: 1 }],
  },
  video: {
    codecs: [{ mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 }],
    encodings: [{ ssrc: 1 }],
  },
};
const PROOF = 'A'.repeat(86);
const MEDIA: MediaRequest = { rtpCapabilities: { codecs: [] }, publish: true };

/** After these a session cannot be resumed any more. */
const ENDED: ReadonlySet<string> = new Set<ErrorCode>(['session_gone', 'token_invalid', 'token_replayed']);

/** These may be sent again by who got no answer; the others mean something else the second time. */
const REPEATABLE: ReadonlySet<string> = new Set<ClientRequestName>([
  'join',
  'media.moved',
  'track.publish',
  'track.pause',
  'track.end',
  'subscribe',
  'unsubscribe',
  'consumers.update',
  'chat.post',
  'session.confirm',
  'sync',
]);

/**
 * A person's client as the protocol asks it to be: it comes back after every loss, with the same session where that lives,
 * asks for what it missed, and goes on until it has what it wants.
 */
export class SimulatedClient {
  readonly plan: ClientPlan;
  readonly life: Life;
  /** What it consumes; whether that is paused is unknown while no answer said so. */
  readonly consumers = new Map<TrackId, { readonly consumerId: ConsumerId; paused: boolean | undefined }>();
  readonly wishes = new Map<TrackId, Wish>();
  readonly publications = new Map<TrackSource, Publication>();
  readonly #world: ClientWorld;
  readonly #token: string;
  #transports = new Set<TransportId>();
  /** Consumers that go on until the track comes the other way. */
  readonly #superseded = new Map<TrackId, ConsumerId>();
  #link: Link | undefined;
  /** The connection that is opened beside the one in use, whose edge will go. */
  #next: Link | undefined;
  /** Another edge is asked to take the session up: requests wait for its answer. */
  #resuming: Promise<void> | undefined;
  #wasAskedElsewhere = false;
  #handovers = 0;
  #requestNumber = 0;
  #joinRequestId: RequestId | undefined;
  #sessionToken: string | undefined;
  #peerId: PeerId | undefined;
  #room: RoomCopy | undefined;
  #sendTransportId: TransportId | undefined;
  #isMediaOpen = false;
  #isJoined = false;
  #isLeaving = false;
  /** Names its media. */
  #epoch: Epoch | undefined;
  /** What goes on until everything goes by the newer media: its transports, and which it is. */
  #leaving: { readonly epoch: Epoch; readonly transports: Set<TransportId> } | undefined;
  /** Media that the node asked it to leave. */
  #toLeave: Epoch | undefined;
  #lossesOfMedia = 0;
  #isPursuing = false;
  #isSyncing = false;

  constructor(world: ClientWorld, plan: ClientPlan) {
    this.#world = world;
    this.plan = plan;
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
  }

  /** Whether it is in its room, as far as it knows. */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  get isMediaOpen(): boolean {
    return this.#isMediaOpen;
  }

  /** Whether two media are open: it has not moved altogether. */
  get isMoving(): boolean {
    return this.#leaving !== undefined;
  }

  /** How often it had to open media although it has not asked for that. */
  get lossesOfMedia(): number {
    return this.#lossesOfMedia;
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

  /** Its connection, while there is one. */
  get wire(): Wire | undefined {
    const wire = this.#link?.wire;
    return wire?.isCut === false ? wire : undefined;
  }

  /** To be called as the process. */
  start(): void {
    this.#connect();
    setInterval(() => void this.#pursue(), PURSUE_MS);
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
    this.#endIce();
  }

  publish(source: TrackSource): void {
    const known = this.publications.get(source);
    if (known !== undefined) {
      known.isEnded = false;
      return;
    }
    this.publications.set(source, {
      source,
      requestId: this.#nextRequestId(),
      trackId: undefined,
      replaces: undefined,
      paused: false,
      isEnded: false,
      isEnding: false,
    });
    void this.#pursue();
  }

  unpublish(source: TrackSource): void {
    const publication = this.publications.get(source);
    if (publication === undefined) return;
    publication.isEnded = true;
    void this.#pursue();
  }

  mute(source: TrackSource, paused: boolean): void {
    const publication = this.publications.get(source);
    if (publication?.trackId === undefined) return;
    publication.paused = paused;
    void this.#try('track.pause', { trackId: publication.trackId, paused, epoch: this.#epoch });
  }

  watch(trackId: TrackId, wish: Wish): void {
    this.wishes.set(trackId, wish);
    void this.#pursue();
  }

  unwatch(trackId: TrackId): void {
    this.wishes.delete(trackId);
    const consumer = this.consumers.get(trackId);
    this.consumers.delete(trackId);
    if (consumer !== undefined) this.#letGo(consumer.consumerId);
  }

  chat(): void {
    void this.#try('chat.post', { requestId: this.#nextRequestId(), text: 'hello' });
  }

  readonly #end = (): void => {
    this.life.alive = false;
    this.#link?.wire.close('caller');
    this.#next?.wire.close('caller');
    this.#endIce();
  };

  /** Its side of all transports so far is closed: the media nodes notice after a while. */
  #endIce(transports = new Set([...this.#transports, ...(this.#leaving?.transports ?? [])])): void {
    const { ether, net } = this.#world;
    const ended = [...transports];
    transports.clear();
    for (const transportId of ended) {
      const host = ether.ice.get(transportId)?.host;
      if (host === undefined) continue;
      net.time.schedule(ICE_TIMEOUT_MS, host.life, undefined, () => {
        ether.ice.get(transportId)?.onChange('disconnected');
      });
    }
  }

  #connect(): void {
    const edge = this.#world.anyEdge();
    if (edge === undefined) {
      this.#connectLater();
      return;
    }
    const link: Link = this.#open(
      edge,
      () => void this.#enter(link),
      () => {
        this.#disconnected(link);
      },
    );
    this.#link = link;
  }

  #open(edge: SimulatedEdge, onOpened: () => void, onClosed: () => void): Link {
    const { net } = this.#world;
    const timer = setTimeout(() => {
      wire.close('caller');
    }, CONNECT_TIMEOUT_MS);
    const wire: Wire = new Wire(
      net,
      {
        life: this.life,
        onClosed: () => {
          clearTimeout(timer);
          link.calls.broken();
          onClosed();
        },
      },
      {
        life: edge.life,
        onClosed: () => {
          edge.closed(wire);
        },
      },
    );
    const calls = new Calls(
      net,
      wire,
      CLIENT_REQUESTS,
      (name) => REPEATABLE.has(name),
      (name, payload) => edge.answer(wire, name, payload),
    );
    const link: Link = { edge, wire, calls, underWay: 0 };
    wire.send(
      'callee',
      () => 'connect',
      () => {
        const isTaken = edge.accept(wire, (name, payload) => {
          if (this.#link === link || this.#next === link) this.#take(link, name, payload);
        });
        if (!isTaken) return;
        wire.send('caller', undefined, () => {
          clearTimeout(timer);
          onOpened();
        });
      },
    );
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

  #disconnected(link: Link): void {
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
  async #handOver(from: Link): Promise<void> {
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

  #openBeside(edge: SimulatedEdge): Promise<Link | undefined> {
    return new Promise((resolve) => {
      const next: Link = this.#open(
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
  async #goOver(from: Link, next: Link): Promise<boolean> {
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
        void this.#pursue();
      }
    }
  }

  async #enter(link: Link): Promise<void> {
    try {
      if (this.#sessionToken === undefined) await this.#join();
      else this.#resumed(await this.#ask('resume', this.#resumption(this.#sessionToken)));
      this.#isJoined = this.#link === link;
      if (this.#sessionToken !== undefined)
        void this.#try('session.confirm', { sessionToken: this.#sessionToken });
      void this.#pursue();
    } catch (fault) {
      const { code } = toPlenaryError(fault);
      if (ENDED.has(code)) this.#forgetSession();
      // Another connection, perhaps to another edge, may do better.
      link.wire.close('caller');
    }
  }

  async #join(): Promise<void> {
    this.#joinRequestId ??= this.#nextRequestId();
    const { session, room, media } = await this.#ask('join', {
      protocolVersion: PROTOCOL_VERSION,
      requestId: this.#joinRequestId,
      roomId: roomNameOf(this.plan.roomId),
      token: this.#token,
      sessionKey: SAMPLE_SESSION_KEY,
      media: MEDIA,
    });
    this.#joinRequestId = undefined;
    this.#sessionToken = session.sessionToken;
    this.#peerId = session.peerId;
    this.#room = new RoomCopy(room);
    this.#openedMedia(media);
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
      epoch: this.#epoch,
    };
  }

  #resumed({ session, catchUp, mediaAlive }: ClientReply<'resume'>): void {
    this.#sessionToken = session.sessionToken;
    this.#caughtUp(catchUp);
    if (!mediaAlive) this.#lostMedia();
  }

  #forgetSession(): void {
    this.#sessionToken = undefined;
    this.#joinRequestId = undefined;
    this.#peerId = undefined;
    this.#room = undefined;
    this.#endIce();
    this.#lostMedia();
  }

  #take(link: Link, name: string, payload: unknown): void {
    switch (name) {
      case 'event':
        this.#heard(EDGE_NOTICES.event.payload.parse(payload));
        break;
      case 'head':
        this.#heardHead(EDGE_NOTICES.head.payload.parse(payload).lastEventId);
        break;
      case 'consumer.closed': {
        const { consumerId, trackId } = EDGE_NOTICES['consumer.closed'].payload.parse(payload);
        if (this.consumers.get(trackId)?.consumerId === consumerId) this.consumers.delete(trackId);
        void this.#pursue();
        break;
      }
      case 'consumer.superseded': {
        const { consumerId, trackId } = EDGE_NOTICES['consumer.superseded'].payload.parse(payload);
        if (this.consumers.get(trackId)?.consumerId !== consumerId) break;
        this.consumers.delete(trackId);
        this.#superseded.set(trackId, consumerId);
        void this.#pursue();
        break;
      }
      case 'media.lost': {
        const { epoch } = EDGE_NOTICES['media.lost'].payload.parse(payload);
        // The media that is being left may end before everything goes by the other one.
        if (this.#epoch !== undefined && epoch >= this.#epoch) this.#lostMedia();
        void this.#pursue();
        break;
      }
      case 'media.move':
        this.#toLeave = EDGE_NOTICES['media.move'].payload.parse(payload).epoch;
        void this.#pursue();
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

  #openedMedia(offer: MediaOffer): void {
    this.#endIce();
    this.#leaving = undefined;
    this.#openTransports(offer);
    for (const { trackId, consumerId, paused } of offer.consumers) {
      this.consumers.set(trackId, { consumerId, paused });
      if (!this.wishes.has(trackId)) this.wishes.set(trackId, { paused: false });
    }
    for (const publication of this.publications.values()) this.#publishAnew(publication);
  }

  /** Media stands beside the one in use: from now on everything is to go by it, while the other one goes on. */
  #openedBeside(offer: MediaOffer, from: Epoch): void {
    this.#leaving = { epoch: from, transports: this.#transports };
    this.#transports = new Set();
    this.#openTransports(offer);
    for (const publication of this.publications.values()) {
      const replaces = publication.trackId;
      this.#publishAnew(publication);
      publication.replaces = replaces;
    }
  }

  #openTransports({ epoch, sendTransport, receiveTransport }: MediaOffer): void {
    this.#epoch = epoch;
    this.#isMediaOpen = true;
    this.#superseded.clear();
    this.consumers.clear();
    this.#sendTransportId = sendTransport === undefined ? undefined : TRANSPORT_ID.parse(sendTransport.id);
    if (this.#sendTransportId !== undefined) this.#transports.add(this.#sendTransportId);
    this.#transports.add(TRANSPORT_ID.parse(receiveTransport.id));
  }

  #publishAnew(publication: Publication): void {
    if (publication.isEnded) this.publications.delete(publication.source);
    publication.trackId = undefined;
    publication.replaces = undefined;
    publication.isEnding = false;
    publication.requestId = this.#nextRequestId();
  }

  #lostMedia(): void {
    if (this.#isMediaOpen) this.#lossesOfMedia += 1;
    this.#superseded.clear();
    this.#isMediaOpen = false;
    this.#toLeave = undefined;
    this.consumers.clear();
  }

  /** Does what is missing between what is wanted and what is there; what fails is tried again the next time. */
  async #pursue(): Promise<void> {
    if (this.#isPursuing || !this.#isJoined || this.#isLeaving) return;
    this.#isPursuing = true;
    if (!this.#isMediaOpen) {
      const offer = await this.#try('media.open', MEDIA);
      if (offer !== undefined) this.#openedMedia(offer);
    }
    if (this.#isMediaOpen) {
      await this.#beginToMove();
      await this.#publishMissing();
      await this.#subscribeMissing();
      await this.#pauseAsWanted();
      await this.#endMove();
    }
    this.#isPursuing = false;
  }

  /** The node asked it to leave: opens media elsewhere. What fails is asked again by the node. */
  async #beginToMove(): Promise<void> {
    const from = this.#toLeave;
    this.#toLeave = undefined;
    if (from === undefined || from !== this.#epoch || this.#leaving !== undefined) return;
    const offer = await this.#try('media.open', { ...MEDIA, moveFrom: from });
    if (offer !== undefined && this.#epoch === from && this.#isMediaOpen) this.#openedBeside(offer, from);
  }

  /** When everything goes by the newer media, the older one is closed. */
  async #endMove(): Promise<void> {
    const leaving = this.#leaving;
    const epoch = this.#epoch;
    if (leaving === undefined || epoch === undefined || !this.#isMediaOpen) return;
    const isPublished = [...this.publications.values()].every(({ trackId }) => trackId !== undefined);
    const isSubscribed = [...this.wishes.keys()].every((trackId) => this.consumers.has(trackId));
    if (!isPublished || !isSubscribed) return;
    if ((await this.#try('media.moved', { epoch })) === undefined || this.#leaving !== leaving) return;
    this.#leaving = undefined;
    this.#endIce(leaving.transports);
  }

  #letGo(consumerId: ConsumerId): void {
    void this.#try('unsubscribe', { consumerIds: [consumerId], epoch: this.#epoch });
  }

  async #publishMissing(): Promise<void> {
    for (const publication of [...this.publications.values()]) {
      const { requestId } = publication;
      if (publication.trackId === undefined) {
        const trackId = await this.#publishOne(publication);
        // Media may have been opened anew meanwhile.
        if (publication.requestId === requestId) publication.trackId = trackId;
      }
      const { source, trackId, isEnded, isEnding } = publication;
      if (!(isEnded || isEnding) || trackId === undefined) continue;
      publication.isEnding = true;
      if (
        (await this.#try('track.end', { trackId, epoch: this.#epoch })) === undefined ||
        publication.requestId !== requestId
      )
        continue;
      if (publication.isEnded) this.publications.delete(source);
      else this.#publishAnew(publication);
    }
  }

  async #publishOne({ source, requestId, paused, replaces }: Publication): Promise<TrackId | undefined> {
    if (this.#sendTransportId === undefined) return undefined;
    const reply = await this.#try('track.publish', {
      requestId,
      transportId: this.#sendTransportId,
      kind: KIND_OF_SOURCE[source],
      source,
      rtpParameters: RTP[KIND_OF_SOURCE[source]],
      paused,
      replaces,
      epoch: this.#epoch,
    });
    return reply?.trackId;
  }

  async #subscribeMissing(): Promise<void> {
    const there = this.#room?.tracks ?? new Map<TrackId, RoomTrack>();
    for (const { trackId, replaces } of there.values()) this.#succeed(replaces, trackId);
    for (const trackId of this.wishes.keys()) if (!there.has(trackId)) this.wishes.delete(trackId);
    const trackIds = [...this.wishes.keys()].filter((trackId) => !this.consumers.has(trackId));
    if (trackIds.length === 0) return;
    const epoch = this.#epoch;
    const reply = await this.#try('subscribe', { trackIds, epoch });
    if (this.#epoch !== epoch) return;
    for (const { trackId, consumerId, paused } of reply?.consumers ?? []) {
      const old = this.#superseded.get(trackId);
      this.#superseded.delete(trackId);
      if (old !== undefined) this.#letGo(old);
      if (this.wishes.has(trackId)) this.consumers.set(trackId, { consumerId, paused });
      else this.#letGo(consumerId);
    }
  }

  /** Who watches a track watches the one that takes its place; the older one goes on until the newer is there. */
  #succeed(trackId: TrackId | undefined, successor: TrackId): void {
    const wish = trackId === undefined ? undefined : this.wishes.get(trackId);
    if (trackId === undefined || wish === undefined) return;
    this.wishes.delete(trackId);
    this.wishes.set(successor, wish);
    const old = this.consumers.get(trackId);
    this.consumers.delete(trackId);
    if (old !== undefined) this.#superseded.set(successor, old.consumerId);
  }

  async #pauseAsWanted(): Promise<void> {
    for (const [trackId, consumer] of this.consumers) {
      const wish = this.wishes.get(trackId);
      if (wish === undefined || wish.paused === consumer.paused) continue;
      const { paused } = wish;
      const { consumerId } = consumer;
      consumer.paused = undefined;
      const reply = await this.#try('consumers.update', {
        consumers: [{ consumerId, paused }],
        epoch: this.#epoch,
      });
      if (reply !== undefined) consumer.paused = paused;
    }
  }

  /** Asks, and takes a failure for an answer: what it says of media and session is noted. */
  async #try<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name> | undefined> {
    const epoch = this.#epoch;
    try {
      return await this.#ask(name, payload);
    } catch (fault) {
      const { code } = toPlenaryError(fault);
      const isOfMedia = ['media_lost', 'stale_epoch', 'transport_not_found'].includes(code);
      if (isOfMedia && this.#epoch === epoch) this.#lostMedia();
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

  #nextRequestId(): RequestId {
    this.#requestNumber += 1;
    return REQUEST_ID.parse(`${this.plan.name}-${this.#requestNumber}`.padEnd(16, '-'));
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
