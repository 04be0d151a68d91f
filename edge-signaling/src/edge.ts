import { mintIncarnation } from '@plenary/cluster';
import type { Clock, ClusterStore, EdgeRecord, Logger } from '@plenary/cluster';
import { Authenticator } from './auth/authenticate.ts';
import type { EdgeConfig } from './config.ts';
import { Directory } from './directory.ts';
import { EdgeNews } from './room/edge-news.ts';
import { createAddressReader } from './http/client-address.ts';
import { handleGuestToken } from './http/guest-token.ts';
import { createOriginCheck } from './http/origins.ts';
import { json, text } from './http/port.ts';
import { handleReady } from './http/readiness.ts';
import { contentSecurityPolicy, createRouter } from './http/router.ts';
import { createStaticFiles, noStaticFiles } from './http/static-files.ts';
import { Announcer, shuttingDown } from './lifecycle.ts';
import { AddressLimits } from './limits/address-limits.ts';
import { ControlLinks } from './media/control-links.ts';
import { Placer } from './media/placer.ts';
import { createEdgeMetrics, createFaultReporter } from './metrics.ts';
import { Heads } from './room/heads.ts';
import { LocalRooms } from './room/local-rooms.ts';
import { Sweeper } from './room/sweeper.ts';
import { Dispatcher } from './rpc/dispatch.ts';
import { createDispatchTable } from './rpc/table.ts';
import { createEdgeServer } from './server.ts';
import { Connection } from './session/connection.ts';
import { Departures } from './session/departures.ts';
import { edgeHints, Entrance } from './session/entrance.ts';
import { SessionKeeper } from './session/keeper.ts';
import { MediaWatch } from './session/media-watch.ts';
import type { AcceptSocket, RoomChannel } from './transport/client-socket.ts';
import { createPubSub } from './transport/pubsub.ts';

/** From here on latency falls off a cliff. */
const MAX_NODE_LOAD = 0.7;
const FORGET_ADDRESSES_MS = 60_000;
/** Time for the last words to reach the clients. */
const GOODBYE_MS = 250;

export interface EdgePorts {
  readonly store: ClusterStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Edge {
  stop(): Promise<void>;
}

/**
 * Puts an edge together and starts it.
 * @throws Error when the port cannot be listened on or the web app cannot be read
 */
export async function startEdge(config: EdgeConfig, { store, clock, logger }: EdgePorts): Promise<Edge> {
  const { edgeId, datacenter, clusterSecret, resumeWithinMs, leaseMs, publicUrl } = config;
  const { rooms, registry } = store;
  const incarnation = mintIncarnation();
  const metrics = createEdgeMetrics();
  const reportFault = createFaultReporter(metrics, logger);
  const localRooms = new LocalRooms();
  const isStoreAvailable = (): boolean => store.isAvailable();
  let isStopping = false;

  // The server needs the handlers and the handlers the server's rooms: they meet through this.
  const late: { channel?: RoomChannel } = {};
  const channel: RoomChannel = {
    publishEvents: (...news) => late.channel?.publishEvents(...news),
    publish: (...news) => late.channel?.publish(...news),
    publishLocally: (...news) => late.channel?.publishLocally(...news),
    tellEdges: (message) => late.channel?.tellEdges(message),
  };

  const directory: Directory = new Directory({
    registry,
    clock,
    reportFault,
    onRead: (nodes) => {
      links.reconcile(nodes);
      edgeNews.tell();
    },
  });
  // The links tell the watch, and the departures that the watch needs use the links.
  const caller = { kind: 'edge', id: edgeId, incarnation } as const;
  const links: ControlLinks = new ControlLinks(
    { clusterSecret, caller, clock, logger, metrics, reportFault },
    {
      onUp: (...news) => mediaWatch.onUp(...news),
      onDown: (...news) => mediaWatch.onDown(...news),
      onRoomEvents: (...news) => mediaWatch.onRoomEvents(...news),
      onSpeakers: (...news) => mediaWatch.onSpeakers(...news),
      onConsumerClosed: (...news) => mediaWatch.onConsumerClosed(...news),
      onTrackDemand: (...news) => mediaWatch.onTrackDemand(...news),
      onPeerLost: (...news) => mediaWatch.onPeerLost(...news),
    },
  );
  const edgeNews = new EdgeNews({ hints: () => edgeHints(directory), localRooms, channel });
  const departures = new Departures({ edgeId, rooms, links, channel, metrics, reportFault });
  const mediaWatch = new MediaWatch({ rooms, localRooms, departures, channel, metrics, reportFault });
  const placer = new Placer({
    edgeId,
    datacenter,
    rooms,
    directory,
    links,
    limits: { packingLimit: config.packingLimit, maxLoad: MAX_NODE_LOAD },
    maxPeersPerRoom: config.maxPeersPerRoom,
    dropMedia: async (mediaNodeId, placed) => departures.dropMedia(mediaNodeId, placed),
    clock,
    logger,
    metrics,
  });
  const keeper = new SessionKeeper({
    edgeId,
    clusterSecret,
    resumeWithinMs,
    rooms,
    localRooms,
    departures,
    channel,
    clock,
    metrics,
    reportFault,
  });
  const entrance = new Entrance({
    edgeId,
    clusterSecret,
    resumeWithinMs,
    authenticator: new Authenticator({ apiKeys: config.apiKeys, clusterSecret }),
    rooms,
    isStoreAvailable,
    directory,
    links,
    placer,
    keeper,
    localRooms,
    departures,
    channel,
    clock,
    reportFault,
  });
  const heads = new Heads({ rooms, isStoreAvailable, localRooms, channel, reportFault });
  const sweeper = new Sweeper({
    rooms,
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
  const announcer = new Announcer({
    registry,
    record: (): EdgeRecord => ({
      edgeId,
      incarnation,
      datacenter,
      publicUrl,
      state: isStopping ? 'draining' : 'serving',
    }),
    leaseMs,
    logger,
    reportFault,
  });

  const handlers = {
    entrance,
    keeper,
    departures,
    placer,
    links,
    localRooms,
    rooms,
    channel,
    clock,
    metrics,
    reportFault,
  };
  const dispatcher = new Dispatcher({ table: createDispatchTable(handlers), metrics, reportFault });
  const accept: AcceptSocket = (socket) => {
    const connection = new Connection(socket, keeper, clock);
    return {
      onMessage: (message) => void dispatcher.onMessage(message, connection),
      onClosed: () => connection.close(),
    };
  };

  const addressLimits = new AddressLimits(
    { sockets: config.socketsPerAddress, connectsPerSecond: config.connectsPerAddress },
    clock,
  );
  const isOriginAllowed = createOriginCheck({
    allowed: config.allowedOrigins,
    publicUrl,
    edgeUrls: () => directory.rememberedEdgeUrls(),
  });
  const guestToken = handleGuestToken({
    apiKeys: config.apiKeys,
    takeGuestToken: (address) => addressLimits.takeGuestToken(address),
    isOriginAllowed,
    edgeHints: () => edgeHints(directory),
  });
  const handleHttp = createRouter({
    routes: {
      'GET /health': () => json(200, { healthy: true }),
      'GET /ready': handleReady({
        isStoreAvailable,
        isConsulMissed: () => store.consul?.isAvailable() === false,
        liveMediaNodes: () => directory.mediaNodes.length,
        isStopping: () => isStopping,
        isIdTaken: () => announcer.isIdTaken,
      }),
      'GET /metrics': async () => text(200, await metrics.registry.metrics(), metrics.registry.contentType),
      'GET /api/edges': () => json(200, { edges: edgeHints(directory) }),
      ...(config.guests ? { 'POST /api/guest-token': guestToken } : {}),
    },
    otherwise: config.webRoot === undefined ? noStaticFiles : await createStaticFiles(config.webRoot),
    contentSecurityPolicy: contentSecurityPolicy(publicUrl),
    onFault: (fault) => reportFault('http', fault),
  });

  const reportAdapterFault = (fault: unknown): void => reportFault('adapter', fault);
  const server = await createEdgeServer({
    host: config.host,
    port: config.port,
    handleHttp,
    isOriginAllowed,
    readAddress: createAddressReader(config.trustedProxies),
    addressLimits,
    pubSub: createPubSub({
      publisher: store.duplicate('publisher', reportAdapterFault),
      subscriber: store.duplicate('subscriber', reportAdapterFault),
      metrics,
    }),
    accept,
    onEdgeMessage: (message) => keeper.onEdgeMessage(message),
    clock,
    logger,
    metrics,
    reportFault,
  });
  late.channel = server.channel;
  await server.listen();

  metrics.storeAvailable.set(store.isAvailable() ? 1 : 0);
  metrics.consulAvailable.set(store.consul?.isAvailable() === false ? 0 : 1);
  const stopWatchingConsul = store.consul?.onChange((isAvailable) => {
    metrics.consulAvailable.set(isAvailable ? 1 : 0);
    if (!isAvailable) return;
    void announcer.announce();
    void directory.refresh();
  });
  const stopWatchingStore = store.onAvailability((isAvailable) => {
    metrics.storeAvailable.set(isAvailable ? 1 : 0);
    if (!isAvailable) return;
    // What an owner published it publishes again: the store may have forgotten it.
    void announcer.announce();
    void directory.refresh();
    void departures.retryRemovals();
  });
  directory.start();
  announcer.start();
  keeper.start();
  heads.start();
  sweeper.start();
  const forgetting = setInterval(() => addressLimits.forgetIdle(), FORGET_ADDRESSES_MS);
  logger.info({ port: config.port, publicUrl }, 'the edge serves');

  return {
    stop: async () => {
      isStopping = true;
      server.stopListening();
      stopWatchingStore();
      stopWatchingConsul?.();
      clearInterval(forgetting);
      sweeper.stop();
      heads.stop();
      // Before the sockets close: their sessions are for other edges to take up, not for this one to end.
      keeper.stop();
      await announcer.withdraw();
      server.byeToAll(shuttingDown());
      await new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
      keeper.stop();
      directory.stop();
      mediaWatch.stop();
      links.closeAll();
      server.close();
      await store.close();
    },
  };
}
