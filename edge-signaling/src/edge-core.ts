import { entry, inBackground, every } from '@plenary/cluster';
import type { KeyObject } from 'node:crypto';
import type {
  AdminActions,
  Clock,
  ClusterStore,
  EdgeRecord,
  Incarnation,
  Logger,
  MediaNodeRecord,
  RejoinClaims,
  RoomStores,
  SessionClaims,
  StoreTrouble,
} from '@plenary/cluster';
import type { EdgeId } from '@plenary/cluster/ids';
import type { Authenticator } from './auth/authenticate.ts';
import type { EdgeConfig } from './config.ts';
import { Directory } from './directory.ts';
import type { EdgeProofs } from './edge-proofs.ts';
import { Oddities } from './oddities.ts';
import { Announcer } from './lifecycle.ts';
import { AdmissionGates } from './limits/admission-gates.ts';
import { EntryGate } from './limits/entry-gate.ts';
import { FrameGuard } from './limits/frame-budgets.ts';
import { LimitedLog } from './limits/limited-log.ts';
import { EdgeBudgets } from './limits/meter.ts';
import type { ControlLinkListener, LinkTrouble } from './media/control-link.ts';
import type { MediaLinks } from './media/control-links.ts';
import { isOwnClockOff } from './media/clock-verdict.ts';
import { lapsedButLinked, Placer } from './media/placer.ts';
import type { EdgeMetrics, ReportFault } from './metrics.ts';
import { PubSubVerdict } from './pubsub-verdict.ts';
import { EndedAccess } from './operations/ended-access.ts';
import { edgeOperations } from './operations/operations.ts';
import type { OperationsSettings } from './operations/operations.ts';
import { EdgeNews } from './room/edge-news.ts';
import { LocalRooms } from './room/local-rooms.ts';
import { Republisher } from './room/republisher.ts';
import { RoomReader } from './room/room-reader.ts';
import { Sweeper } from './room/sweeper.ts';
import { Dispatcher } from './rpc/dispatch.ts';
import { createDispatchTable } from './rpc/table.ts';
import { Connection } from './session/connection.ts';
import { Departures } from './session/departures.ts';
import { edgeHints, Entrance } from './session/entrance.ts';
import { SessionKeeper } from './session/keeper.ts';
import { MediaWatch } from './session/media-watch.ts';
import { Evacuation } from './session/evacuation.ts';
import { MoveReminder } from './session/move-reminder.ts';
import type { TenantMeter } from './tenant-meter.ts';
import { StoreWait } from './store-wait.ts';
import { TenantClaims } from './session/tenant-claims.ts';
import type { AcceptSocket, EdgeMessage, IncomingMessage, RoomChannel } from './transport/client-socket.ts';

/** From here on latency falls off a cliff. */
const MAX_NODE_LOAD = 0.7;
/**
 * Joins and resumes that are carried out at a time: so few that one turn of the event loop with all of them stays below
 * 30 ms, and so many that an edge whose store is 30 ms away still takes up 400 people a second.
 */
const JOINS_AT_ONCE = 32;
const RESUMES_AT_ONCE = 64;
const MEDIA_OPENINGS_AT_ONCE = 32;
/** Admissions that one media node is asked for at a time: it does one call of mediasoup after the other. */
const ADMISSIONS_AT_ONCE = 32;
/** A client waits ten seconds for an answer; who is let in by then is answered in time. */
const ENTRY_PATIENCE_MS = 8_000;
/** With such a wait the edge lets hardly anybody in until it has caught up: far from the wait at which clients give up. */
const BEHIND_MS = 1_000;

/** Budgets of rooms, tenants and addresses that are full again are forgotten this often. */
const FORGET_BUDGETS_MS = 60_000;

/** The links to the media nodes, as who opens them sees them. */
export interface OwnedMediaLinks extends MediaLinks {
  /** Told of the nodes that live, after each reading of the registry. */
  reconcile(nodes: readonly MediaNodeRecord[]): void;
  /** Whether any link is up, or was. */
  wasUsable(): boolean;
  /** How far this clock is before those of the media nodes that say theirs, in milliseconds. */
  clockOffsetsMs(): readonly number[];
  /** Why this edge can use no media node at all, by its links; `undefined` where it can, or knows none. */
  unusable(): readonly LinkTrouble[] | undefined;
  closeAll(): void;
}

export interface EdgeCoreOptions {
  readonly config: Pick<
    EdgeConfig,
    | 'edgeId'
    | 'datacenter'
    | 'publicUrl'
    | 'operators'
    | 'resumeWithinMs'
    | 'leaseMs'
    | 'datacenterOrder'
    | 'packingLimit'
    | 'roomPeersPerNode'
    | 'joinsPerNode'
    | 'maxPeersPerRoom'
    | 'peersPerPerson'
    | 'tenantLimits'
    | 'socketsPerAddress'
    | 'guests'
  >;
  readonly store: Pick<ClusterStore, keyof RoomStores | 'registry' | 'tenants' | 'isAvailable'>;
  readonly incarnation: Incarnation;
  readonly authenticator: Pick<Authenticator, 'join' | 'resume' | 'session'>;
  /** From which ids of peers follow. */
  readonly peerIdKey: KeyObject;
  readonly edgeProofs: EdgeProofs;
  /** Signs what proves a session to any edge. */
  readonly signToken: (claims: SessionClaims) => Promise<string>;
  /** Signs what lets a person come back once the session is over; `undefined` when the time for that is over. */
  readonly signRejoinToken: (claims: RejoinClaims) => Promise<string | undefined>;
  readonly openLinks: (listener: ControlLinkListener) => OwnedMediaLinks;
  readonly channel: RoomChannel;
  /** Whether nobody new is taken, since the edge is to go. */
  readonly isDraining: () => boolean;
  /** Whether this clock and that of Redis are too far apart. */
  readonly isOffStoreClock?: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  readonly tenantMeter: Pick<TenantMeter, 'joined'>;
  readonly reportFault: ReportFault;
}

/** Everything of an edge but its sockets: what it does with requests, with news of media nodes, and by itself. */
export class EdgeCore {
  readonly directory: Directory;
  readonly oddities: Oddities;
  readonly announcer: Announcer;
  readonly localRooms = new LocalRooms();
  readonly departures: Departures;
  /** Takes a client's connection in. */
  readonly accept: AcceptSocket;
  /** What operators may ask of its rooms and people. */
  readonly operations: (more: Pick<OperationsSettings, 'isTenant' | 'rejoinWithinSeconds'>) => AdminActions;
  readonly #isOffStoreClock: () => boolean;
  readonly #pubSub: PubSubVerdict;
  readonly #edgeId: EdgeId;
  readonly #links: OwnedMediaLinks;
  readonly #mediaWatch: MediaWatch;
  readonly #keeper: SessionKeeper;
  readonly #republisher: Republisher;
  readonly #moveReminder: MoveReminder;
  readonly #evacuation: Evacuation;
  readonly #sweeper: Sweeper;
  readonly #tenantClaims: TenantClaims;
  readonly #storeWait: StoreWait;
  readonly #budgets: EdgeBudgets;
  /** What logs rarely, and says the rest at the end. */
  readonly #logs: readonly { close(): void }[];
  #forgetting: NodeJS.Timeout | undefined;
  readonly #joinGate: EntryGate;
  readonly #resumeGate: EntryGate;
  readonly #admissions: AdmissionGates;
  #isStopping = false;

  constructor(options: EdgeCoreOptions) {
    const { config, store, clock, logger, metrics, reportFault } = options;
    const { edgeId, datacenter, resumeWithinMs, leaseMs } = config;
    const { placements, roomLog, recovery, registry } = store;
    this.#edgeId = edgeId;
    this.#isOffStoreClock = options.isOffStoreClock ?? (() => false);
    this.#pubSub = new PubSubVerdict(clock);
    const { localRooms } = this;
    const channel: RoomChannel = {
      publish: (...news) => options.channel.publish(...news),
      publishLocally: (...news) => options.channel.publishLocally(...news),
      tellEdges: (message) => options.channel.tellEdges(message),
      publishEvents: (roomId, events) => {
        for (const event of events) localRooms.note(roomId, event);
        options.channel.publishEvents(roomId, events);
      },
    };
    const isStoreAvailable = (): boolean => store.isAvailable();
    this.#storeWait = new StoreWait(isStoreAvailable);
    const storeWait = this.#storeWait;

    const edgeNews = new EdgeNews({ hints: () => edgeHints(this.directory), localRooms, channel });
    this.oddities = new Oddities(logger);
    this.directory = new Directory({
      registry,
      clock,
      reportFault,
      // After that the evacuation moves those away who are there.
      lapsedForMs: 2 * leaseMs,
      isProven: (edge) => options.edgeProofs.isProven(edge),
      onRead: (nodes) => {
        this.#links.reconcile(nodes);
        edgeNews.tell();
        this.#evacuation.look();
        this.oddities.clusterRead(this.directory.edges, nodes, this.directory.unprovenEdges);
      },
    });
    // The links tell the watch, and the departures that the watch needs use the links.
    this.#links = options.openLinks({
      onUp: (...news) => this.#mediaWatch.onUp(...news),
      onDown: (...news) => this.#mediaWatch.onDown(...news),
      onRoomEvents: (...news) => this.#mediaWatch.onRoomEvents(...news),
      onSpeakers: (...news) => this.#mediaWatch.onSpeakers(...news),
      onConsumerClosed: (...news) => this.#mediaWatch.onConsumerClosed(...news),
      onConsumerSuperseded: (...news) => this.#mediaWatch.onConsumerSuperseded(...news),
      onTrackDemand: (...news) => this.#mediaWatch.onTrackDemand(...news),
      onPublishingLimited: (...news) => this.#mediaWatch.onPublishingLimited(...news),
      onPeerLost: (...news) => this.#mediaWatch.onPeerLost(...news),
      onPeerUnreached: (...news) => this.#mediaWatch.onPeerUnreached(...news),
      onPeerMove: (...news) => this.#mediaWatch.onPeerMove(...news),
    });
    const { directory } = this;
    const links = this.#links;
    this.#tenantClaims = new TenantClaims({
      tenants: store.tenants,
      limits: config.tenantLimits,
      localRooms,
      isStoreAvailable,
      renewMs: leaseMs,
      resumeWithinMs,
      reportFault,
    });
    const tenantClaims = this.#tenantClaims;
    const departures = new Departures({
      placements,
      roomLog,
      links,
      channel,
      isTakenUp: (placed) => localRooms.serves(placed),
      tenantClaims,
      metrics,
      reportFault,
    });
    this.departures = departures;
    this.#mediaWatch = new MediaWatch({
      placements,
      roomLog,
      localRooms,
      departures,
      directory,
      channel,
      metrics,
      reportFault,
    });
    const gate = (kind: 'join' | 'resume' | 'media', atOnce: number): EntryGate =>
      new EntryGate({
        atOnce,
        patienceMs: ENTRY_PATIENCE_MS,
        clock,
        onWaiting: (count) => metrics.waitingEntries.set({ kind }, count),
      });
    this.#joinGate = gate('join', JOINS_AT_ONCE);
    this.#resumeGate = gate('resume', RESUMES_AT_ONCE);
    this.#admissions = new AdmissionGates({
      atOnce: ADMISSIONS_AT_ONCE,
      patienceMs: ENTRY_PATIENCE_MS,
      clock,
      onWaiting: (count) => metrics.waitingEntries.set({ kind: 'admission' }, count),
    });
    const placer = new Placer({
      edgeId,
      datacenter,
      datacenterOrder: config.datacenterOrder,
      placements,
      directory,
      links,
      admissions: this.#admissions,
      limits: {
        packingLimit: config.packingLimit,
        maxRoomPeersPerNode: config.roomPeersPerNode,
        maxJoinsPerNode: config.joinsPerNode,
        maxLoad: MAX_NODE_LOAD,
      },
      maxPeersPerRoom: config.maxPeersPerRoom,
      maxPeersPerPerson: config.peersPerPerson,
      dropMedia: async (mediaNodeId, placed) => departures.dropMedia(mediaNodeId, placed),
      clock,
      logger,
      metrics,
    });
    const endedAccess = new EndedAccess(clock);
    this.operations = (more) =>
      edgeOperations({
        ...more,
        edgeId,
        tenants: store.tenants,
        localRooms,
        keeper: this.#keeper,
        endedAccess,
      });
    const limitedLog = new LimitedLog({ metrics, logger, clock });
    const budgets = new EdgeBudgets({
      clock,
      socketsPerAddress: config.socketsPerAddress,
      log: limitedLog,
    });
    this.#budgets = budgets;
    this.#logs = [limitedLog, placer];
    this.#keeper = new SessionKeeper({
      edgeId,
      isEnded: (session) => endedAccess.covers(session),
      signToken: options.signToken,
      resumeWithinMs,
      placements,
      localRooms,
      departures,
      tenantClaims,
      channel,
      leftPurses: budgets.left,
      clock,
      metrics,
      reportFault,
    });
    const keeper = this.#keeper;
    this.#republisher = new Republisher({
      edgeId,
      recovery,
      isStoreAvailable,
      localRooms,
      keeper,
      departures,
      channel,
      metrics,
      reportFault,
    });
    const republisher = this.#republisher;
    this.#moveReminder = new MoveReminder(localRooms);
    this.#evacuation = new Evacuation({ localRooms, directory, links, leaseMs, clock });
    const reader = new RoomReader(store);
    const entrance = new Entrance({
      edgeId,
      peerIdKey: options.peerIdKey,
      resumeWithinMs,
      guests: config.guests,
      authenticator: options.authenticator,
      signRejoinToken: options.signRejoinToken,
      tenants: store.tenants,
      placements,
      roomLog,
      reader,
      isStoreAvailable,
      storeWait,
      directory,
      links,
      placer,
      keeper,
      republisher,
      localRooms,
      mediaWatch: this.#mediaWatch,
      departures,
      tenantClaims,
      channel,
      purseAfter: (heldForMs) => budgets.carriedPurse(heldForMs),
      clock,
      onEntering: (roomId) => this.#sweeper.note(roomId),
      onOutcome: (tenantId, result) => options.tenantMeter.joined(tenantId, result),
      reportFault,
    });
    this.#sweeper = new Sweeper({
      edgeId,
      departures,
      clock,
      placements,
      roomLog,
      isStoreAvailable,
      localRooms,
      links,
      missingForMs: (id) => directory.missingForMs(id),
      leaseMs,
      resumeWithinMs,
      channel,
      metrics,
      reportFault,
    });
    const { incarnation } = options;
    const proof = options.edgeProofs.proofOf({ edgeId, incarnation, publicUrl: config.publicUrl });
    this.announcer = new Announcer({
      registry,
      record: (): EdgeRecord => ({
        edgeId,
        incarnation,
        datacenter,
        publicUrl: config.publicUrl,
        proof,
        ...(config.operators.url === undefined ? {} : { operatorUrl: config.operators.url }),
        state: this.#isStopping || options.isDraining() ? 'draining' : 'serving',
        ...(this.#isOwnClockOff ? { isClockOff: true } : {}),
        ...(this.#pubSub.isOff ? { isPubSubOff: true } : {}),
      }),
      leaseMs,
      logger,
      reportFault,
    });
    const handlers = {
      joinGate: this.#joinGate,
      resumeGate: this.#resumeGate,
      mediaGate: gate('media', MEDIA_OPENINGS_AT_ONCE),
      entrance,
      keeper,
      storeWait,
      republisher,
      departures,
      placer,
      links,
      localRooms,
      mediaWatch: this.#mediaWatch,
      placements,
      roomLog,
      reader,
      channel,
      isDraining: options.isDraining,
      clock,
      metrics,
      reportFault,
    };
    const dispatcher = new Dispatcher({ table: createDispatchTable(handlers), metrics, reportFault });
    this.accept = (socket) => {
      const connection = new Connection(socket, keeper, budgets, localRooms);
      return {
        onMessage: entry('socket', (message: IncomingMessage) => dispatcher.onMessage(message, connection)),
        onClosed: () => connection.close(),
      };
    };
  }

  /** Limits the frames of a new connection. */
  guardFrames(address: string): FrameGuard {
    return new FrameGuard(this.#budgets.frames, address);
  }

  /** What addresses pay for requests by HTTP (SPEC BU21). */
  get httpBudgets(): Pick<EdgeBudgets, 'chargeHttp' | 'spendHttp'> {
    return this.#budgets;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** How many media nodes may be asked to take somebody: those announced, and those that lapsed a moment ago and are linked. */
  get mediaNodeCount(): number {
    return this.directory.mediaNodes.length + lapsedButLinked(this.directory, this.#links).length;
  }

  /** Whether joins or resumes wait so long for their turn that no more clients are to be let in. */
  get isBehind(): boolean {
    const nodes = this.directory.mediaNodes.map(({ mediaNodeId }) => mediaNodeId);
    const waitedMs = [
      this.#joinGate.waitedMs,
      this.#resumeGate.waitedMs,
      this.#admissions.leastWaitedMs(nodes),
    ];
    return Math.max(...waitedMs) > BEHIND_MS;
  }

  /** Why no media node can be used, where there are some. */
  unusableLinks(): readonly LinkTrouble[] | undefined {
    return this.#links.unusable();
  }

  get #isOwnClockOff(): boolean {
    return isOwnClockOff(this.#isOffStoreClock(), this.#links.clockOffsetsMs());
  }

  /** Whether tokens fail here that another edge takes. If there is none, this one does what it can (SPEC HL12). */
  get isClockOff(): boolean {
    return this.#isOwnClockOff && this.#others.some(({ isClockOff }) => isClockOff !== true);
  }

  /** Whether this edge hears no others, or is not heard, while another one has no such fault (SPEC HL13). */
  get isPubSubBetterElsewhere(): boolean {
    return this.#pubSub.isBetterElsewhere(this.#others);
  }

  get #others(): readonly EdgeRecord[] {
    return this.directory.edges.filter(({ edgeId, state }) => edgeId !== this.#edgeId && state === 'serving');
  }

  /** Why whoever comes is better off at another edge, if there is one. */
  get whyElsewhere(): 'clock_off' | 'no_control_link' | undefined {
    if (this.isClockOff) return 'clock_off';
    // Where all media nodes are gone, other edges have none either: whoever can resume here shall.
    return this.#isUseless && this.edgeHints().some(({ edgeId }) => edgeId !== this.#edgeId)
      ? 'no_control_link'
      : undefined;
  }

  /**
   * The edges that a client may go to. To an edge with another secret than all others none of them proves that it is one, and
   * whoever comes is better off there all the same: it names what is announced, as long as it never could use a media node itself.
   */
  edgeHints(): ReturnType<typeof edgeHints> {
    return edgeHints(this.directory, this.#isUseless ? 'announced' : 'proven');
  }

  get #isUseless(): boolean {
    return this.unusableLinks() !== undefined && !this.#links.wasUsable();
  }

  start(): void {
    this.directory.start();
    // Its first clients are told of this edge as well, which the registry names from then on.
    inBackground(() => this.announcer.start().then(() => this.directory.refresh()));
    this.#keeper.start();
    this.#republisher.start();
    this.#moveReminder.start();
    this.#sweeper.start();
    this.#tenantClaims.start();
    this.#forgetting = every(FORGET_BUDGETS_MS, () => this.#budgets.forgetIdle());
  }

  /** What another edge said. */
  onEdgeMessage(message: EdgeMessage): void {
    switch (message.type) {
      case 'sessions.attached':
        if (message.edgeId === this.#edgeId) break;
        for (const hold of message.sessions) this.#keeper.heardOfHold(hold);
        break;
      case 'sessions.sought':
        if (message.edgeId === this.#edgeId) break;
        for (const peerId of message.peerIds) inBackground(() => this.#keeper.sought(peerId));
        break;
      case 'purses.left':
        for (const purse of message.purses) this.#keeper.heardOfPurse(purse);
        break;
      case 'room.sought':
        if (message.edgeId === this.#edgeId) this.#sweeper.note(message.roomId);
    }
  }

  /** The store or the registry answers again: what an owner published it publishes again, and what waited is done. */
  storeReturned(): void {
    this.#storeWait.returned();
    this.registryReturned();
    // Who left is removed before those who stay are published again, so that no one is restored who is gone.
    inBackground(() => this.departures.retryRemovals().then(() => this.#republisher.all()));
    inBackground(() => this.#tenantClaims.renew());
  }

  /** Other edges are told at once: what they hear decides where people are sent. */
  pubSubChanged(trouble: StoreTrouble | undefined): void {
    const wasOff = this.#pubSub.isOff;
    this.#pubSub.changed(trouble);
    if (this.#pubSub.isOff !== wasOff) inBackground(() => this.announcer.announce());
  }

  registryReturned(): void {
    inBackground(() => this.announcer.announce());
    inBackground(() => this.directory.refresh());
  }

  /**
   * Before the sockets close: their sessions are for other edges to take up, not for this one to end. Settles when nobody
   * is sent here any more.
   */
  async retire(): Promise<void> {
    this.#isStopping = true;
    this.#sweeper.stop();
    this.#tenantClaims.stop();
    this.#republisher.stop();
    this.#moveReminder.stop();
    this.#keeper.stop();
    await this.announcer.withdraw();
  }

  /** After the clients were sent away: ends everything. */
  stop(): void {
    this.#keeper.stop();
    clearInterval(this.#forgetting);
    this.departures.stop();
    this.directory.stop();
    this.#mediaWatch.stop();
    this.#links.closeAll();
    for (const log of this.#logs) log.close();
  }
}
