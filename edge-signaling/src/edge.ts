import {
  AdminDoor,
  AuthorityFile,
  ClockWatch,
  deriveKey,
  Drain,
  FileWatch,
  FIRST_LINES,
  identityOfSecrets,
  KeyRing,
  mintIncarnation,
  OperatorServer,
  RAISE_FILE_LIMIT,
  RareLines,
  signRejoinToken,
  signSessionToken,
  TlsFiles,
  guardCallback,
  every,
  inBackground,
  CONSUL_TROUBLES,
  showTrouble,
  STORE_TROUBLES,
} from '@plenary/cluster';
import type { Clock, ClusterStore, DrainEnd, Logger } from '@plenary/cluster';
import { TENANT_ID } from '@plenary/cluster/ids';
import { Authenticator } from './entry/tokens/authenticate.ts';
import { openJoinKeys } from './entry/tokens/open-join-keys.ts';
import type { EdgeConfig } from './config.ts';
import { EdgeCore } from './edge-core.ts';
import { EdgeProofs } from './directory/edge-proofs.ts';
import { createAddressReader, createProxyCheck } from './http/client-address.ts';
import { handleGuestToken } from './http/guest-token.ts';
import { createOriginCheck } from './http/origins.ts';
import type { OriginCheck } from './http/origins.ts';
import { json, text } from './http/port.ts';
import { isOffered, readinessOf } from './http/readiness.ts';
import type { ReadinessQuestion } from './http/readiness.ts';
import { handleService } from './http/service.ts';
import { contentSecurityPolicy, createRouter } from './http/router.ts';
import { serveCapabilities, serveProtocolSchema } from './http/descriptions.ts';
import { createStaticFiles, noStaticFiles } from './http/static-files.ts';
import { shuttingDown } from './lifecycle.ts';
import { AddressLimits } from './limits/address-limits.ts';
import { ControlLink } from './media/control-link.ts';
import { ControlLinks } from './media/control-links.ts';
import { createFaultReporter } from './metrics.ts';
import type { EdgeMetrics } from './metrics.ts';
import { createEdgeServer } from './server/edge-server.ts';
import type { ClientSocket, RoomChannel } from './transport/client-socket.ts';
import { TenantMeter } from './tenant-meter.ts';
import { createPubSub } from './transport/pubsub.ts';
import { PublicationSeal } from './transport/publication-seal.ts';

/** What probes are answered, which is made once: nobody pays for it. */
const HEALTHY = json(200, { healthy: true });
const READY = json(200, {});
const NOT_READY = json(503, {});
const FORGET_ADDRESSES_MS = 60_000;
/** Time for the last words to reach the clients. */
const GOODBYE_MS = 250;

export interface EdgePorts {
  readonly store: ClusterStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EdgeMetrics;
}

export interface Edge {
  /** Sends everybody to other edges, in batches (SPEC DR5). @returns settles when nobody is left, or at the deadline */
  drain(deadlineMs: number): Promise<DrainEnd>;
  stop(): Promise<void>;
}

/**
 * Puts an edge together and starts it.
 * @throws Error when the port cannot be listened on or the web app cannot be read
 */
export async function startEdge(
  config: EdgeConfig,
  { store, clock, logger, metrics }: EdgePorts,
): Promise<Edge> {
  const { edgeId, clusterSecrets, publicUrl, rejoinWithinSeconds } = config;
  const [clusterSecret] = clusterSecrets;
  const sessionKeys = KeyRing.derive(clusterSecrets, 'session-token');
  const rejoinKeys = KeyRing.derive(clusterSecrets, 'rejoin-token');
  const incarnation = mintIncarnation();
  const faultLines = new RareLines(clock, FIRST_LINES);
  const reportFault = createFaultReporter(metrics, logger, faultLines);
  const linkLines = new RareLines(clock, FIRST_LINES);
  const joinKeys = openJoinKeys(config, { clock, logger, metrics });
  const isStoreAvailable = (): boolean => store.isAvailable();

  // The server needs the handlers and the handlers the server's rooms: they meet through this.
  const late: { channel?: RoomChannel; clients?: () => readonly ClientSocket[] } = {};
  const channel: RoomChannel = {
    publishEvents: (...news) => late.channel?.publishEvents(...news),
    publish: (...news) => late.channel?.publish(...news),
    publishLocally: (...news) => late.channel?.publishLocally(...news),
    tellEdges: (message) => late.channel?.tellEdges(message),
  };
  const drain: Drain<ClientSocket> = new Drain<ClientSocket>({
    clock,
    members: () => late.clients?.() ?? [],
    isIdle: () => true,
    hasElsewhere: (): boolean =>
      directory.edges.some((edge) => edge.edgeId !== edgeId && edge.state === 'serving'),
    // Clients take their sessions up on another edge while this one goes on. One that cannot is cut off, and then resumes.
    ask: (client, isRepeated) => {
      if (isRepeated) client.bye(shuttingDown());
      else client.notify('edge.leaving', {});
    },
    cut: () => {
      for (const client of late.clients?.() ?? []) client.bye(shuttingDown());
    },
    changed: (isDraining) => {
      const sockets = late.clients?.().length;
      if (isDraining) logger.info({ sockets }, 'draining: clients are sent to other edges');
      else logger.info({ sockets }, 'drain cancelled: the edge takes clients again');
      // Announced at once, so that clients are sent elsewhere, or here again.
      inBackground(() => announcer.announce());
      inBackground(() => directory.refresh());
    },
  });
  const caller = { kind: 'edge', id: edgeId, incarnation } as const;
  const identity = identityOfSecrets(clusterSecrets, caller);
  const { caFile: caPath } = config.operators;
  const caFile = caPath === undefined ? undefined : new AuthorityFile(caPath);
  // What cannot be read is said now, and not at the first link.
  caFile?.current();
  const tenants = [...new Set([...config.apiKeys.keys(), ...config.keySets.keys()])].map((key) =>
    TENANT_ID.parse(key),
  );
  const tenantMeter = new TenantMeter(tenants, metrics);
  const clockWatch = new ClockWatch({
    store,
    clock,
    logger,
    show: (seconds) => metrics.clockOffset.set(seconds),
  });
  const core = new EdgeCore({
    config,
    tenantMeter,
    store,
    incarnation,
    authenticator: new Authenticator({
      joinKeys: joinKeys.keys,
      sessionKeys,
      rejoinKeys,
      rejoinWithinSeconds,
    }),
    peerIdKey: deriveKey(clusterSecret, 'peer-id'),
    edgeProofs: new EdgeProofs(KeyRing.derive(clusterSecrets, 'edge-address')),
    signToken: async (claims) => signSessionToken(sessionKeys, claims),
    signRejoinToken: async (claims) => signRejoinToken(rejoinKeys, claims, rejoinWithinSeconds),
    openLinks: (listener, isAnnounced) =>
      new ControlLinks({
        open: ({ mediaNodeId, controlUrl }, ofLink) =>
          new ControlLink({
            mediaNodeId,
            controlUrl,
            identity,
            caFile,
            caller,
            listener: ofLink,
            isAnnounced: async () => isAnnounced(mediaNodeId),
            clock,
            logger,
            lines: linkLines,
            metrics,
            reportFault,
          }),
        listener,
        count: ({ up, down }) => {
          metrics.controlLinks.set({ state: 'up' }, up);
          metrics.controlLinks.set({ state: 'down' }, down);
        },
      }),
    channel,
    isDraining: () => drain.isOn,
    isOffStoreClock: () => clockWatch.isOff,
    clock,
    logger,
    metrics,
    reportFault,
  });
  const { directory, announcer, oddities } = core;
  oddities.ownPublicUrl(config.publicUrl);

  const addressLimits = new AddressLimits(
    { sockets: config.socketsPerAddress, connectsPerSecond: config.connectsPerAddress },
    clock,
  );
  const isOwnOrigin = createOriginCheck({
    allowed: config.allowedOrigins,
    publicUrl,
    edgeUrls: () => directory.rememberedEdgeUrls(),
  });
  const isOriginAllowed: OriginCheck = (origin) => {
    const isAllowed = isOwnOrigin(origin);
    if (!isAllowed && origin !== undefined) oddities.originRefused(origin);
    return isAllowed;
  };
  const guestToken = handleGuestToken({
    apiKeys: config.apiKeys,
    guests: config.guests,
    takeGuestToken: (address) => addressLimits.takeGuestToken(address),
    isOriginAllowed,
    edgeHints: () => core.standing.edgeHints(),
  });
  const question: ReadinessQuestion = {
    isStoreAvailable,
    storeTrouble: () => store.trouble(),
    pubSubTrouble: () => store.pubSubTrouble(),
    isPubSubBetterElsewhere: () => core.standing.isPubSubBetterElsewhere,
    isConsulMissed: () => store.consul?.isAvailable() === false,
    consulTrouble: () => store.consul?.trouble,
    liveMediaNodes: () => core.standing.mediaNodeCount,
    unusableLinks: () => core.standing.unusableLinks(),
    isClockOff: () => core.standing.isClockOff,
    isStopping: () => core.isStopping,
    isDraining: () => drain.isOn,
    isIdTaken: () => announcer.isIdTaken,
  };
  const subject = { kind: 'edge', id: edgeId } as const;
  const { adminSecrets, tls } = config.operators;
  const door = adminSecrets === undefined ? undefined : new AdminDoor(adminSecrets, subject, clock);
  const actions = core.operations({
    isTenant: (tenantId) => tenants.includes(tenantId),
    rejoinWithinSeconds,
  });
  const operators = new OperatorServer(
    {
      readiness: () => readinessOf(question),
      metrics: async () => {
        tenantMeter.count(core.localRooms);
        return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() };
      },
      admin: () => (door === undefined ? undefined : { ...subject, door, drain, actions }),
      onFault: (fault) => reportFault('http', fault),
      logger,
    },
    tls === undefined ? undefined : new TlsFiles(tls, logger),
  );
  const handleHttp = createRouter({
    routes: {
      'GET /health': () => HEALTHY,
      // One bit for load balancers, without a word why.
      'GET /api/ready': () => (isOffered(question) ? READY : NOT_READY),
      'GET /api/edges': () => json(200, { edges: core.standing.edgeHints() }),
      // How far this datacenter is: answered before anything is looked at.
      'GET /api/ping': () => text(200, ''),
      'GET /api/capabilities': await serveCapabilities(),
      'GET /api/protocol.json': await serveProtocolSchema(),
      'POST /api/guest-token': guestToken,
      'GET /api/service': handleService({
        guests: config.guests !== undefined,
        embedOrigins: config.embedOrigins,
      }),
    },
    free: ['GET /health', 'GET /api/ready'],
    readers: {
      '/api/edges': 'any site',
      '/api/ping': 'any site',
      '/api/capabilities': 'any site',
      '/api/protocol.json': 'any site',
      '/api/guest-token': isOriginAllowed,
    },
    otherwise: config.webRoot === undefined ? noStaticFiles : await createStaticFiles(config.webRoot),
    contentSecurityPolicy: contentSecurityPolicy(publicUrl, config.embedOrigins),
    isEmbeddable: config.embedOrigins.length > 0,
    budgets: core.httpBudgets,
    onFault: (fault) => reportFault('http', fault),
  });

  const reportAdapterFault = (fault: unknown): void => reportFault('adapter', fault);
  const server = await createEdgeServer({
    host: config.host,
    port: config.port,
    httpServer: config.httpServer,
    maxSockets: config.maxSockets,
    onFull: (held) => {
      oddities.socketsFull(held);
    },
    connectsPerAddress: config.connectsPerAddress,
    isProxy: createProxyCheck(config.trustedProxies),
    handleHttp,
    isOriginAllowed,
    readAddress: createAddressReader(config.trustedProxies, (address, claim) => {
      oddities.forwardingIgnored(address, claim);
    }),
    addressLimits,
    guardFrames: (address) => core.guardFrames(address),
    pubSub: createPubSub({
      publisher: store.duplicate('publisher', reportAdapterFault),
      subscriber: store.duplicate('subscriber', reportAdapterFault),
      channelPrefix: store.channelPrefix,
      onRoomEvent: (...news) => core.onRoomEvent(...news),
      seal: new PublicationSeal(KeyRing.derive(clusterSecrets, 'publication')),
      metrics,
      reportFault,
    }),
    accept: core.accept,
    isDraining: () => drain.isOn,
    isBehind: () => core.isBehind,
    whyElsewhere: () => core.standing.whyElsewhere,
    onEdgeMessage: (message) => core.onEdgeMessage(message),
    clock,
    logger,
    metrics,
    reportFault,
  });
  late.channel = server.channel;
  late.clients = () => server.clients();
  await operators.listen(config.operators.port, config.operators.host);
  await server.listen();

  metrics.storeAvailable.set(store.isAvailable() ? 1 : 0);
  metrics.consulAvailable.set(store.consul?.isAvailable() === false ? 0 : 1);
  showTrouble(metrics.storeTrouble, STORE_TROUBLES, store.trouble());
  const stopWatchingTrouble = store.onTrouble(
    guardCallback('store', (trouble) => showTrouble(metrics.storeTrouble, STORE_TROUBLES, trouble)),
  );
  showTrouble(metrics.pubSubTrouble, STORE_TROUBLES, store.pubSubTrouble());
  const stopWatchingPubSub = store.onPubSubTrouble(
    guardCallback('store', (trouble) => {
      showTrouble(metrics.pubSubTrouble, STORE_TROUBLES, trouble);
      core.pubSubChanged(trouble);
    }),
  );
  showTrouble(metrics.consulTrouble, CONSUL_TROUBLES, store.consul?.trouble);
  const stopWatchingConsulTrouble = store.consul?.onTrouble(
    guardCallback('registry', (trouble) => showTrouble(metrics.consulTrouble, CONSUL_TROUBLES, trouble)),
  );
  const stopWatchingConsul = store.consul?.onChange(
    guardCallback('registry', (isAvailable) => {
      metrics.consulAvailable.set(isAvailable ? 1 : 0);
      if (isAvailable) core.registryReturned();
    }),
  );
  const stopCountingMalformed = store.onMalformed(
    guardCallback('store', (kind) => metrics.malformedRecords.inc({ kind })),
  );
  const stopWatchingStore = store.onAvailability(
    guardCallback('store', (isAvailable) => {
      metrics.storeAvailable.set(isAvailable ? 1 : 0);
      if (isAvailable) core.storeReturned();
    }),
  );
  core.start();
  clockWatch.start();
  joinKeys.start();
  const files = new FileWatch((limit) =>
    logger.error(
      { limit },
      `edge has as many files open as it may, and takes no new connections: raise the file limit (${RAISE_FILE_LIMIT}) or lower PLENARY_MAX_SOCKETS`,
    ),
  );
  const forgetting = every(FORGET_ADDRESSES_MS, () => addressLimits.forgetIdle());
  const { port, maxSockets, maxPeersPerRoom } = config;
  logger.info({ port, publicUrl, maxSockets }, 'edge started');
  for (const setting of config.weaknesses) logger.warn({ setting }, 'setting leaves this cluster open');
  if (maxSockets < maxPeersPerRoom) {
    logger.warn(
      { maxSockets, maxPeersPerRoom },
      'edge may hold fewer sockets than one room may have people: raise its file limit (ulimit -n, LimitNOFILE=, --ulimit nofile=) or PLENARY_MAX_SOCKETS',
    );
  }

  return {
    drain: async (deadlineMs) => drain.begin(deadlineMs),
    stop: async () => {
      drain.stop();
      server.stopListening();
      stopWatchingStore();
      stopWatchingTrouble();
      stopWatchingPubSub();
      stopCountingMalformed();
      stopWatchingConsul?.();
      stopWatchingConsulTrouble?.();
      joinKeys.stop();
      clockWatch.stop();
      clearInterval(forgetting);
      files.stop();
      await core.retire();
      server.byeToAll(shuttingDown());
      await new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
      core.stop();
      server.close();
      operators.close();
      await store.close();
      linkLines.close();
      faultLines.close();
    },
  };
}
