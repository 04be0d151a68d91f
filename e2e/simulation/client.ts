import { PlenaryError, toPlenaryError } from '@plenary/cluster';
import type { DatacenterId, ErrorCode, PeerId, RequestId, RoomId, TrackId } from '@plenary/cluster';
import { roomNameOf, tenantOf } from '@plenary/cluster/ids';
import { EDGE_NOTICES, PROTOCOL_VERSION } from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  TrackSource,
} from '@plenary/cluster/protocol';
import { bear } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { SAMPLE_SESSION_KEY } from '@plenary/cluster/testing/samples';
import type { Wire } from '@plenary/cluster/testing/simulation/wire';
import { ClientHand } from './client-hand.ts';
import type { ClientLink } from './client-link.ts';
import { ClientLinks } from './client-links.ts';
import type { ClientLinksWorld } from './client-links.ts';
import type { ClientMediaWorld } from './client-media.ts';
import type { ClientPublications } from './client-publications.ts';
import { MEDIA_REQUEST, RequestIds } from './client-requests.ts';
import type { RequestEdge } from './client-requests.ts';
import { ClientRoom } from './client-room.ts';
import type { ClientSubscriptions, Demand } from './client-subscriptions.ts';
import { ClientTracks } from './client-tracks.ts';
import type { RoomCopy } from './room-copy.ts';
import type { Tokens } from './tokens.ts';

export interface ClientPlan {
  readonly name: string;
  readonly roomId: RoomId;
  readonly datacenter: DatacenterId;
}

/** The parts of the world that a client reaches. */
export interface ClientWorld extends ClientLinksWorld, ClientMediaWorld {
  readonly tokens: Tokens;
}

/** How often the client requests whatever is wanted and missing, in milliseconds. */
const PURSUE_MS = 2_000;
const PROOF = 'A'.repeat(86);

/** After these errors a session cannot be resumed. */
const ENDED: ReadonlySet<string> = new Set<ErrorCode>(['session_gone', 'token_invalid', 'token_replayed']);

/**
 * A person's client as the protocol requires it: it reconnects after every loss, resumes its session where that still
 * exists, requests the events that it missed, and continues until it sends and receives all that it wants.
 */
export class SimulatedClient {
  readonly plan: ClientPlan;
  readonly life: Life;
  readonly #world: ClientWorld;
  readonly #token: string;
  readonly #tracks: ClientTracks;
  readonly #links: ClientLinks;
  readonly #room: ClientRoom;
  readonly #hand: ClientHand;
  readonly #requestIds: RequestIds;
  #joinRequestId: RequestId | undefined;
  #sessionToken: string | undefined;
  #peerId: PeerId | undefined;
  #isJoined = false;
  #isLeaving = false;

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
    const tryRequest: RequestEdge['try'] = (request, payload) => this.#try(request, payload);
    this.#room = new ClientRoom(tryRequest);
    this.#hand = new ClientHand(tryRequest);
    this.#tracks = new ClientTracks(world, {
      try: tryRequest,
      nextRequestId: () => this.#requestIds.next(),
      isReady: () => this.#isJoined && !this.#isLeaving,
      tracks: () => this.#room.tracks,
    });
    this.#links = new ClientLinks(world, {
      life: this.life,
      isJoined: () => this.#isJoined,
      isLeaving: () => this.#isLeaving,
      token: () => this.#sessionToken,
      resumption: (sessionToken) => this.#resumption(sessionToken),
      opened: (link) => void this.#enter(link),
      lost: () => {
        this.#isJoined = false;
      },
      resumed: (reply) => {
        this.#resumed(reply);
      },
      handedOver: (sessionToken) => {
        void this.#try('session.confirm', { sessionToken: this.#sessionToken ?? sessionToken });
        void this.#tracks.pursue();
      },
      notice: (link, name, payload) => {
        this.#receive(link, name, payload);
      },
    });
  }

  /** Whether the client is in its room, as far as it knows. */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  get isMediaOpen(): boolean {
    return this.#tracks.media.isOpen;
  }

  /** Whether two media sessions are open, because a move is not complete. */
  get isMoving(): boolean {
    return this.#tracks.media.isMoving;
  }

  /** How many media sessions the client lost. */
  get mediaLosses(): number {
    return this.#tracks.media.losses;
  }

  /** How often another edge resumed the session while the link in use was open. */
  get handovers(): number {
    return this.#links.handovers;
  }

  get peerId(): PeerId | undefined {
    return this.#peerId;
  }

  get room(): RoomCopy | undefined {
    return this.#room.copy;
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

  /** The current connection, if it is open. */
  get wire(): Wire | undefined {
    return this.#links.wire;
  }

  /** Call it as the process. */
  start(): void {
    this.#links.connect();
    setInterval(() => void this.#tracks.pursue(), PURSUE_MS);
  }

  /** Leaves as a person does who closes the meeting. Call it as the process. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    const goodbye = this.#isJoined ? this.#links.ask('leave', {}) : Promise.resolve();
    void goodbye.then(this.#end, this.#end);
  }

  /** The process ends without notice; media nodes learn it from ICE. */
  vanish(): void {
    if (!this.life.alive) return;
    this.life.alive = false;
    this.#links.cut();
    this.#tracks.media.close();
  }

  publish(source: TrackSource): void {
    if (this.#tracks.publications.publish(source)) void this.#tracks.pursue();
  }

  unpublish(source: TrackSource): void {
    if (this.#tracks.publications.unpublish(source)) void this.#tracks.pursue();
  }

  setPaused(source: TrackSource, paused: boolean): void {
    this.#tracks.publications.setPaused(source, paused);
  }

  watch(trackId: TrackId, demand: Demand): void {
    this.#tracks.subscriptions.watch(trackId, demand);
    void this.#tracks.pursue();
  }

  unwatch(trackId: TrackId): void {
    this.#tracks.subscriptions.unwatch(trackId);
  }

  chat(): void {
    void this.#try('chat.post', { requestId: this.#requestIds.next(), text: 'hello' });
  }

  /** Whether its hand is up, by the edge's answers; `undefined` while an answer is missing. */
  get isHandUp(): boolean | undefined {
    return this.#hand.isUp;
  }

  raiseHand(): void {
    void this.#hand.change('hand.raise');
  }

  lowerHand(): void {
    void this.#hand.change('hand.lower');
  }

  readonly #end = (): void => {
    this.life.alive = false;
    this.#links.close();
    this.#tracks.media.close();
  };

  async #enter(link: ClientLink): Promise<void> {
    try {
      if (this.#sessionToken === undefined) await this.#join();
      else this.#resumed(await this.#links.ask('resume', this.#resumption(this.#sessionToken)));
      this.#isJoined = this.#links.isInUse(link);
      if (this.#sessionToken !== undefined)
        void this.#try('session.confirm', { sessionToken: this.#sessionToken });
      void this.#tracks.pursue();
    } catch (fault) {
      const { code } = toPlenaryError(fault);
      if (ENDED.has(code)) this.#forgetSession();
      // Another link, perhaps to another edge, may succeed.
      link.wire.close('caller');
    }
  }

  async #join(): Promise<void> {
    this.#joinRequestId ??= this.#requestIds.next();
    const { session, room, media } = await this.#links.ask('join', {
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
    this.#room.joined(room);
    this.#tracks.openedMedia(media);
  }

  #resumption(sessionToken: string): ClientRequestInput<'resume'> {
    const lastEventId = this.#room.copy?.lastEventId;
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
    this.#room.forget();
    this.#hand.forget();
    this.#tracks.lostMedia();
  }

  #receive(link: ClientLink, name: string, payload: unknown): void {
    switch (name) {
      case 'event':
        if (this.#isJoined && this.#room.receive(EDGE_NOTICES.event.payload.parse(payload)))
          void this.#sync();
        break;
      case 'head':
        if (this.#room.lags(EDGE_NOTICES.head.payload.parse(payload).lastEventId)) void this.#sync();
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
        // The session that is moved from may end before the other one carries everything.
        if (this.#tracks.media.epoch !== undefined && epoch >= this.#tracks.media.epoch)
          this.#tracks.lostMedia();
        void this.#tracks.pursue();
        break;
      }
      case 'media.move':
        this.#tracks.media.requestMove(EDGE_NOTICES['media.move'].payload.parse(payload).epoch);
        void this.#tracks.pursue();
        break;
      case 'edge.leaving':
        if (this.#links.isInUse(link)) void this.#links.handOver(link);
        break;
      case 'bye':
        if (!this.#links.isAuthoritative(link)) break;
        if (EDGE_NOTICES.bye.payload.parse(payload).code === 'session_gone') this.#forgetSession();
        break;
    }
  }

  async #sync(): Promise<void> {
    const caughtUp = await this.#room.requestMissing();
    if (caughtUp !== undefined) this.#caughtUp(caughtUp);
  }

  #caughtUp(caughtUp: ClientReply<'sync'>): void {
    const { copy } = this.#room;
    this.#room.catchUp(caughtUp);
    if (copy === undefined || caughtUp.type !== 'snapshot') return;
    // A snapshot without this peer means that the store lost the session: the client has to join again.
    if (this.#peerId === undefined || copy.peers.has(this.#peerId)) return;
    this.#forgetSession();
    this.#links.reconnect();
  }

  /** Sends a request. A failure gives `undefined`, after lost media and sessions were noted. */
  async #try<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name> | undefined> {
    const { epoch } = this.#tracks.media;
    try {
      return await this.#links.ask(name, payload);
    } catch (fault) {
      const { code } = toPlenaryError(fault);
      const isMediaLost = ['media_lost', 'stale_epoch', 'transport_not_found'].includes(code);
      if (isMediaLost && this.#tracks.media.epoch === epoch) this.#tracks.lostMedia();
      if (code === 'session_gone') {
        this.#forgetSession();
        this.#links.reconnect();
      }
      return undefined;
    }
  }
}
