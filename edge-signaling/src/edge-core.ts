import { guardCallback, every, inBackground } from '@plenary/cluster';
import type {
  AdminActions,
  Clock,
  ClusterStore,
  EdgeRecord,
  Incarnation,
  Logger,
  RoomStores,
  StoreTrouble,
} from '@plenary/cluster';
import type { RoomId } from '@plenary/cluster/ids';
import type { CarriedEvent } from '@plenary/cluster/protocol';
import type { EdgeConfig } from './config.ts';
import { Directory } from './directory/directory.ts';
import { EdgeNews } from './directory/edge-news.ts';
import { edgeHints } from './directory/edge-hints.ts';
import type { EdgeProofs } from './directory/edge-proofs.ts';
import { EdgeStanding } from './directory/edge-standing.ts';
import { ClientConnection } from './entry/client-connection.ts';
import { EntryAssembly } from './entry/entry-assembly.ts';
import type { EntryAssemblySettings } from './entry/entry-assembly.ts';
import { Announcer } from './lifecycle.ts';
import { FrameGuard } from './limits/frame-budgets.ts';
import { LimitedLog } from './limits/limited-log.ts';
import { EdgeBudgets } from './limits/meter.ts';
import { MediaAssembly } from './media/media-assembly.ts';
import type { MediaAssemblySettings } from './media/media-assembly.ts';
import type { EdgeMetrics, ReportFault } from './metrics.ts';
import { Oddities } from './oddities.ts';
import type { OperationsSettings } from './operations/operations.ts';
import { RecoveryAssembly } from './recovery/recovery-assembly.ts';
import type { RecoveryAssemblySettings } from './recovery/recovery-assembly.ts';
import { LocalRooms } from './room/local-rooms.ts';
import { RoomReader } from './room/room-reader.ts';
import { Dispatcher } from './rpc/dispatch.ts';
import { handlerServices } from './rpc/handler-services.ts';
import { createDispatchTable } from './rpc/table.ts';
import type { AcceptSocket, EdgeMessage, IncomingMessage, RoomChannel } from './transport/client-socket.ts';

/** With such a wait the edge lets hardly anybody in until it has caught up: far from the wait at which clients give up. */
const BEHIND_MS = 1_000;

/** Budgets of rooms, tenants and addresses that are full again are forgotten this often. */
const FORGET_BUDGETS_MS = 60_000;

export interface EdgeCoreOptions
  extends
    Pick<MediaAssemblySettings, 'openLinks'>,
    Pick<
      EntryAssemblySettings,
      'authenticator' | 'peerIdKey' | 'signToken' | 'signRejoinToken' | 'tenantMeter'
    > {
  readonly config: MediaAssemblySettings['config'] &
    RecoveryAssemblySettings['config'] &
    EntryAssemblySettings['config'] &
    Pick<EdgeConfig, 'publicUrl' | 'operators' | 'socketsPerAddress'>;
  readonly store: Pick<ClusterStore, keyof RoomStores | 'registry' | 'tenants' | 'isAvailable'>;
  readonly incarnation: Incarnation;
  readonly edgeProofs: EdgeProofs;
  readonly channel: RoomChannel;
  /** Whether nobody new is taken, since the edge is to go. */
  readonly isDraining: () => boolean;
  /** Whether this clock and that of Redis are too far apart. */
  readonly isOffStoreClock?: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/**
 * Everything of an edge but its sockets, put together in one order: what it knows (local rooms, directory), what it has to do
 * with media nodes (`media/`), what keeps the store true (`recovery/`), how people come in (`entry/`), and the requests.
 */
export class EdgeCore {
  readonly directory: Directory;
  readonly oddities: Oddities;
  readonly announcer: Announcer;
  readonly localRooms = new LocalRooms();
  readonly standing: EdgeStanding;
  /** Takes a client's connection in. */
  readonly accept: AcceptSocket;
  readonly #options: EdgeCoreOptions;
  readonly #media: MediaAssembly;
  readonly #recovery: RecoveryAssembly;
  readonly #entry: EntryAssembly;
  readonly #limitedLog: LimitedLog;
  readonly #budgets: EdgeBudgets;
  #forgetting: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(options: EdgeCoreOptions) {
    const { config, store, clock, logger, metrics, reportFault, incarnation, edgeProofs } = options;
    const { edgeId, publicUrl } = config;
    const { localRooms } = this;
    this.#options = options;
    const channel = notingEvents(options.channel, localRooms);
    const isStoreAvailable = (): boolean => store.isAvailable();
    this.#limitedLog = new LimitedLog({ metrics, logger, clock });
    this.#budgets = new EdgeBudgets({
      clock,
      socketsPerAddress: config.socketsPerAddress,
      log: this.#limitedLog,
    });
    const directory = new Directory({
      registry: store.registry,
      clock,
      reportFault,
      // After that the evacuation moves those away who are there.
      lapsedForMs: 2 * config.leaseMs,
      isProven: (edge) => edgeProofs.isProven(edge),
    });
    this.directory = directory;
    const reader = new RoomReader(store);
    const common = { config, directory, localRooms, channel, clock, metrics, reportFault };
    const ofStore = { stores: store, tenants: store.tenants, isStoreAvailable };
    const media = new MediaAssembly({ ...common, ...ofStore, openLinks: options.openLinks, logger });
    const { links, drops } = media;
    const recovery = new RecoveryAssembly({ ...common, ...ofStore, links, drops });
    const entryAssembly = new EntryAssembly({
      ...common,
      ...ofStore,
      authenticator: options.authenticator,
      peerIdKey: options.peerIdKey,
      signToken: options.signToken,
      signRejoinToken: options.signRejoinToken,
      tenantMeter: options.tenantMeter,
      media,
      recovery,
      reader,
      budgets: this.#budgets,
    });
    this.#media = media;
    this.#recovery = recovery;
    this.#entry = entryAssembly;

    this.standing = new EdgeStanding({
      edgeId,
      directory,
      links,
      isOffStoreClock: options.isOffStoreClock ?? (() => false),
      clock,
    });
    const edgeNews = new EdgeNews({ hints: () => edgeHints(directory), localRooms, channel });
    const oddities = new Oddities(logger);
    this.oddities = oddities;
    directory.onRead((nodes) => {
      edgeNews.tell();
      oddities.clusterRead(directory.edges, nodes, directory.unprovenEdges);
    });
    const proof = edgeProofs.proofOf({ edgeId, incarnation, publicUrl });
    this.announcer = new Announcer({
      registry: store.registry,
      record: (): EdgeRecord => ({
        edgeId,
        incarnation,
        datacenter: config.datacenter,
        publicUrl,
        proof,
        ...(config.operators.url === undefined ? {} : { operatorUrl: config.operators.url }),
        state: this.#isStopping || options.isDraining() ? 'draining' : 'serving',
        ...this.standing.announced,
      }),
      leaseMs: config.leaseMs,
      logger,
      reportFault,
    });

    const { isDraining } = options;
    const handlers = handlerServices(media, recovery, entryAssembly, {
      ...common,
      stores: store,
      reader,
      isDraining,
    });
    const table = createDispatchTable(handlers, reportFault);
    const dispatcher = new Dispatcher({ table, metrics, reportFault });
    this.accept = (socket) => {
      const connection = new ClientConnection(socket, entryAssembly.keeper, this.#budgets, localRooms);
      return {
        onMessage: guardCallback('socket', (message: IncomingMessage) =>
          dispatcher.onMessage(message, connection),
        ),
        onClosed: () => connection.close(),
      };
    };
  }

  /** What operators may ask of its rooms and people. */
  operations(more: Pick<OperationsSettings, 'isTenant' | 'rejoinWithinSeconds'>): AdminActions {
    return this.#entry.operations(more);
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

  /** Whether joins or resumes wait so long for their turn that no more clients are to be let in. */
  get isBehind(): boolean {
    const nodes = this.directory.mediaNodes.map(({ mediaNodeId }) => mediaNodeId);
    const { joinGate, resumeGate } = this.#entry;
    const waitedMs = [joinGate.waitedMs, resumeGate.waitedMs, this.#media.admissions.leastWaitedMs(nodes)];
    return Math.max(...waitedMs) > BEHIND_MS;
  }

  start(): void {
    this.directory.start();
    // Its first clients are told of this edge as well, which the registry names from then on.
    inBackground(() => this.announcer.start().then(() => this.directory.refresh()));
    this.#entry.start();
    this.#recovery.start();
    this.#media.start();
    this.#forgetting = every(FORGET_BUDGETS_MS, () => this.#budgets.forgetIdle());
  }

  /** What happened in a room, as another edge publishes it. */
  onRoomEvent(roomId: RoomId, event: CarriedEvent['event']): void {
    this.localRooms.hear(roomId, event);
  }

  /** What another edge said. */
  onEdgeMessage(message: EdgeMessage): void {
    const { edgeId } = this.#options.config;
    const { keeper } = this.#entry;
    switch (message.type) {
      case 'sessions.attached':
        if (message.edgeId === edgeId) break;
        for (const hold of message.sessions) keeper.heardOfHold(hold);
        break;
      case 'sessions.lookup':
        if (message.edgeId === edgeId) break;
        for (const peerId of message.peerIds) inBackground(() => keeper.lookedUp(peerId));
        break;
      case 'purses.left':
        for (const purse of message.purses) keeper.heardOfPurse(purse);
        break;
      case 'room.lookup':
        if (message.edgeId === edgeId) this.#recovery.sweeper.note(message.roomId);
    }
  }

  /** The store answers again. */
  storeReturned(): void {
    this.registryReturned();
    this.#recovery.storeReturned();
  }

  /** Other edges are told at once whether this one hears them. */
  pubSubChanged(trouble: StoreTrouble | undefined): void {
    if (this.standing.pubSubChanged(trouble)) inBackground(() => this.announcer.announce());
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
    this.#recovery.retire();
    this.#media.retire();
    this.#entry.stop();
    await this.announcer.withdraw();
  }

  /** After the clients were sent away: ends everything. */
  stop(): void {
    this.#entry.stop();
    clearInterval(this.#forgetting);
    this.#recovery.stop();
    this.directory.stop();
    this.#media.stop();
    this.#limitedLog.close();
  }
}

/** The channel, with a note of each event that is passed on by it. */
function notingEvents(channel: RoomChannel, localRooms: LocalRooms): RoomChannel {
  return {
    publish: (...news) => channel.publish(...news),
    publishLocally: (...news) => channel.publishLocally(...news),
    tellEdges: (message) => channel.tellEdges(message),
    publishEvents: (roomId, events) => {
      for (const event of events) localRooms.note(roomId, event);
      channel.publishEvents(roomId, events);
    },
  };
}
