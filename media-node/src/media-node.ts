import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AdminDoor,
  AuthorityFile,
  answerOddHttp,
  CONTROL_VERSION,
  Drain,
  FIRST_LINES,
  guardConnections,
  guardWebSockets,
  mintIncarnation,
  OperatorServer,
  leftOut,
  PORT_GUARD_LIMITS,
  PortGuard,
  LISTEN_SETTINGS,
  listenFault,
  RareLines,
  systemClock,
  TLS_HANDSHAKE_MS,
  TlsFiles,
  toPlenaryError,
  answering,
  atMost,
  entry,
  inBackground,
  CONSUL_TROUBLES,
  showTrouble,
  STORE_TROUBLES,
} from '@plenary/cluster';
import type {
  AdminSettings,
  DrainEnd,
  FileWatch,
  Incarnation,
  Logger,
  MediaNodeRecord,
  PortSlice,
  Readiness,
} from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import { AddressCheck } from './address-check.ts';
import { AnnouncedNames } from './announced-names.ts';
import { ControlServer } from './control/control-server.ts';
import { EdgeLinkWatch } from './control/edge-link-watch.ts';
import { NodeDirectory } from './control/node-directory.ts';
import { NodeLinks } from './control/node-links.ts';
import type { PortPlan } from './engine/port-plan.ts';
import { loneLowPort } from './engine/port-plan.ts';
import { WORKER_PACKING_LIMIT } from './engine/select-worker.ts';
import { workerBinaryFault, workerStartFault } from './engine/worker-binary.ts';
import { WorkerPool } from './engine/worker-pool.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LoadMeter } from './load-meter.ts';
import { announcedAddresses } from './media-address.ts';
import { createMetrics } from './metrics.ts';
import type { NodeMetrics } from './metrics.ts';
import { NetworkMeter } from './network-meter.ts';
import { fileFault, watchFiles, WorkerFiles } from './file-limit.ts';
import { GATEWAY_PATIENCE_MS } from './pipe/pipe-links.ts';
import type { NodeStore } from './room/node-store.ts';
import { watchIncoming } from './room/incoming-watch.ts';
import type { PeerRounds } from './room/peer-rounds.ts';
import { NoResends } from './room/no-resends.ts';
import { watchResends } from './room/resend-watch.ts';
import type { ReceiverBytes } from './room/resend-watch.ts';
import { Outbox } from './room/outbox.ts';
import type { Peer } from './room/peer.ts';
import { FAREWELL_MS, HANDOVER_MS } from './lifecycle.ts';
import { Reach } from './room/reach.ts';
import { Rooms } from './room/rooms.ts';
import { systemTimers } from './room/timers.ts';
import { THIS_MACHINE } from './pipe/machine.ts';
import type { Machine } from './pipe/machine.ts';
import { claimSlice, textOf } from './slice-claim.ts';
import type { ClaimedSlice } from './slice-claim.ts';
import { StartRefused } from './start-refused.ts';

const HANDOVER_POLL_MS = 50;
/** Health checks and scrapers of any make are answered, and half a request holds a connection no longer than this. */
const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: 32_768,
  requireHostHeader: false,
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  connectionsCheckingInterval: 2_000,
  shouldUpgradeCallback: answering(
    'http',
    false,
    ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket',
  ),
};

export interface MediaNodeOptions {
  readonly config: MediaNodeConfig;
  readonly store: NodeStore;
  readonly logger: Logger;
  readonly metrics?: NodeMetrics;
  /** Peers of one room on one worker before it spreads; {@link WORKER_PACKING_LIMIT} but in tests. */
  readonly workerPackingLimit?: number;
  /** How long a stop waits for those that this node is the gateway of; {@link HANDOVER_MS} but in tests. */
  readonly handoverMs?: number;
  /** How long a gateway is waited for; {@link GATEWAY_PATIENCE_MS} but in tests. */
  readonly gatewayPatienceMs?: number;
  /** Where the node is; {@link THIS_MACHINE} but in tests. */
  readonly machine?: Machine;
  /** The registry refuses the node for good after it had started, and nobody is left here: it must stop. */
  readonly onRefused: (error: Error) => void;
}

/** What a node has before it has workers. */
interface NodeBase extends ClaimedSlice {
  readonly incarnation: Incarnation;
  readonly metrics: NodeMetrics;
  /** Both listen already. */
  readonly http: Server;
  readonly guard: PortGuard;
  readonly operators: OperatorServer;
  readonly controlTls: TlsFiles | undefined;
  /** Whose certificates are believed where this node opens links. */
  readonly caFile: AuthorityFile | undefined;
}

/** What of a node's servers there is yet. */
interface NodeServers {
  http?: Server;
  operators?: OperatorServer;
  controlTls?: TlsFiles | undefined;
}

/** A media node: everything of one process but the process itself. */
export class MediaNode {
  readonly incarnation: Incarnation;
  /** The ports that it owns. */
  readonly portSlice: PortSlice;
  readonly metrics: NodeMetrics;
  readonly rooms: Rooms;
  readonly pool: WorkerPool;
  /** Empties the node, so that it can be stopped and nobody notices. */
  readonly #drain: Drain<Peer>;
  readonly #incoming: PeerRounds<Peer, number>;
  readonly #resends: PeerRounds<Peer, ReceiverBytes>;
  readonly #options: MediaNodeOptions;
  readonly #outbox: Outbox;
  readonly #load: LoadMeter;
  readonly #lease: LeaseKeeper;
  readonly #names: AnnouncedNames;
  readonly #addressCheck: AddressCheck;
  readonly #ports: PortPlan;
  readonly #directory: NodeDirectory;
  readonly #nodes: NodeLinks;
  readonly #linkLines = new RareLines(systemClock, FIRST_LINES);
  readonly #reach: Reach;
  readonly #control: ControlServer;
  readonly #edgeLinks: EdgeLinkWatch;
  readonly #servers: Pick<NodeBase, 'operators' | 'controlTls'>;
  #endAvailability: (() => void) | undefined;
  #endConsul: (() => void) | undefined;
  #endConsulTrouble: (() => void) | undefined;
  #endTrouble: (() => void) | undefined;
  #files: FileWatch | undefined;
  #workerFiles: WorkerFiles | undefined;
  #stopping = false;

  private constructor(options: MediaNodeOptions, base: NodeBase) {
    this.#options = options;
    const { config, store, logger } = options;
    const { mediaNodeId, datacenter, addresses } = config;
    const { metrics, ports } = base;
    const machine = options.machine ?? THIS_MACHINE;
    this.#servers = base;
    this.metrics = metrics;
    this.incarnation = base.incarnation;
    this.portSlice = base.portSlice;
    this.#ports = ports;
    this.#names = new AnnouncedNames({ addresses, logger });
    this.#addressCheck = new AddressCheck({
      addresses,
      told: this.#names.current,
      liveEdges: () => store.registry.liveEdges(),
      hasAddress: (address) => machine.hasAddress(address),
      logger,
    });
    this.pool = new WorkerPool(
      {
        metrics,
        logger,
        addresses,
        pipeAddresses: config.pipeAddresses,
        clientAddresses: this.#names.current,
        ports,
        workerBin: config.workerBin,
      },
      (workerIndex) => {
        this.rooms.workerDied(workerIndex);
      },
    );
    this.#outbox = new Outbox(metrics, logger);
    const network = new NetworkMeter({
      listenIps: addresses.map(({ listenIp }) => listenIp),
      maxOutgoingMbit: config.maxOutgoingMbit,
      maxPacketsPerSecond: config.maxPacketsPerSecond,
    });
    this.#load = new LoadMeter(this.pool, network, metrics, logger);
    this.#lease = new LeaseKeeper({
      registry: store.registry,
      record: () => this.#record(),
      leaseMs: config.leaseMs,
      clock: systemClock,
      metrics,
      logger,
      isEmpty: () => this.rooms.peerCount === 0,
      onRefused: options.onRefused,
    });
    this.#directory = new NodeDirectory(store.registry, metrics, logger);
    this.#nodes = new NodeLinks({
      directory: this.#directory,
      identity: config.identity,
      caller: { kind: 'media-node', id: mediaNodeId, incarnation: this.incarnation },
      onPipeProducer: ({ trackId, state, ...key }) => {
        this.rooms.producerChanged(key, trackId, state);
      },
      onPipeMoved: ({ homeNodeId, ...key }) => {
        this.rooms.pipeMoved(key, homeNodeId);
      },
      onPipeClosed: (key) => {
        this.rooms.pipeClosed(key);
      },
      caFile: base.caFile,
      onFault: (where, thrown) => {
        const error = toPlenaryError(thrown);
        metrics.errors.inc({ where, code: error.code });
        // The store names whom this node needs, and how many.
        this.#linkLines.say(`${where} ${error.code}`, (unsaid) => {
          logger.warn({ err: error, ...leftOut(unsaid) }, 'link to another node');
        });
      },
      metrics,
      logger,
    });
    this.#reach = new Reach({
      clock: systemClock,
      timers: systemTimers,
      changed: (people) => {
        this.#noteReach(people);
      },
    });
    const noResends = new NoResends(systemClock);
    this.rooms = new Rooms({
      mediaNodeId,
      datacenter,
      origin: {
        addresses: announcedAddresses(addresses),
        pipeAddresses: config.pipeAddresses,
        pipeScope: config.pipeScope,
        machine,
      },
      pool: this.pool,
      store,
      outbox: this.#outbox,
      nodes: this.#nodes,
      metrics,
      logger,
      lines: this.#linkLines,
      clock: systemClock,
      reach: this.#reach,
      noResends,
      timers: systemTimers,
      maxPeers: config.maxPeers,
      pipeLingerMs: config.pipeLingerMs,
      gatewayPatienceMs: options.gatewayPatienceMs ?? GATEWAY_PATIENCE_MS,
      orphanGraceMs: config.orphanGraceMs,
      workerPackingLimit: options.workerPackingLimit ?? WORKER_PACKING_LIMIT,
      refusal: () => {
        if (this.#stopping) return 'It is stopping.';
        return this.#drain.isOn ? 'It is draining.' : this.#lease.missing();
      },
      anyEdge: () => this.#control.anyEdge(),
    });
    this.#incoming = watchIncoming({
      peers: () => this.rooms.peers(),
      limits: config.incomingLimits,
      clock: systemClock,
      timers: systemTimers,
      onStep: (peer, step) => {
        metrics.overLimit.inc({ step });
        logger.warn({ ...peer.placed, step }, 'a peer sends more than it may');
      },
      onFault: (where, error) => {
        metrics.errors.inc({ where, code: toPlenaryError(error).code });
        logger.warn({ err: error }, 'what peers send could not be counted');
      },
    });
    this.#resends = watchResends({
      peers: () => this.rooms.peers(),
      workerCpu: () => Math.max(0, ...this.pool.alive().map(({ cpu }) => cpu)),
      clock: systemClock,
      timers: systemTimers,
      onExcess: (peer) => {
        metrics.resendExcesses.inc();
        logger.warn(
          { ...peer.placed },
          'a peer asks for too much again: its media is closed, and for an hour it gets nothing twice',
        );
        noResends.add(peer.asker);
        peer.close('asks_too_much');
      },
      onFault: (where, error) => {
        metrics.errors.inc({ where, code: toPlenaryError(error).code });
        logger.warn({ err: error }, 'what is sent again to peers could not be counted');
      },
    });
    this.#drain = new Drain<Peer>({
      clock: systemClock,
      members: () => this.rooms.peers(),
      isIdle: () => !this.rooms.isRelaying,
      ask: (peer) => {
        peer.askToMove();
      },
      cut: () => {
        this.rooms.closePeers();
      },
      changed: (isDraining) => {
        logger.info({ peers: this.rooms.peerCount }, isDraining ? 'draining' : 'serving again');
        if (isDraining) this.rooms.leave();
        else this.rooms.stay();
        // Said at once, so that edges send nobody here any more, or again.
        inBackground(() => this.#lease.renew());
      },
    });
    this.#control = new ControlServer({
      http: base.http,
      guard: base.guard,
      mediaNodeId,
      datacenter,
      incarnation: this.incarnation,
      identity: config.identity,
      rooms: this.rooms,
      machineId: machine.id,
      pipeAddresses: config.pipeAddresses,
      pipePorts: ports.pipePorts.max - ports.pipePorts.min + 1,
      onMediaNode: (other) => {
        this.#nodes.open(other);
      },
      onEdge: () => {
        this.#edgeLinks.opened();
      },
      metrics,
      logger,
      clock: systemClock,
    });
    this.#edgeLinks = new EdgeLinkWatch({
      hasEdgeLink: () => this.#control.anyEdge() !== undefined,
      liveEdges: () => store.registry.liveEdges(),
      controlUrl: config.controlUrl,
      leaseMs: config.leaseMs,
      clock: systemClock,
      onChange: (isUnlinked) => metrics.noEdgeLink.set(isUnlinked ? 1 : 0),
      logger,
    });
  }

  /**
   * Listens, gets the node its ports, starts workers and announces the node. While a leased slice is waited for, the
   * process is healthy and says what it waits for.
   * @throws StartRefused with one sentence, after which nothing is left running
   */
  static async start(options: MediaNodeOptions): Promise<MediaNode> {
    const { config, store, logger } = options;
    const missing = (await workerBinaryFault(config.workerBin)) ?? fileFault(config);
    if (missing !== undefined) throw new StartRefused(missing);
    const incarnation = mintIncarnation();
    const metrics = options.metrics ?? createMetrics(false);
    let readiness = (): Readiness => ({ ready: false, reasons: ['starting'] });
    let node: MediaNode | undefined;
    const { mediaNodeId, operators: asked } = config;
    const subject = { kind: 'media-node', id: mediaNodeId } as const;
    const door =
      asked.adminSecrets === undefined ? undefined : new AdminDoor(asked.adminSecrets, subject, systemClock);
    const tlsFiles = (): TlsFiles | undefined =>
      asked.tls === undefined ? undefined : new TlsFiles(asked.tls, logger);
    const servers: NodeServers = {};
    try {
      const caFile = asked.caFile === undefined ? undefined : new AuthorityFile(asked.caFile);
      // What cannot be read is said now, and not at the first link.
      caFile?.current();
      const operators = new OperatorServer(
        {
          readiness: () => readiness(),
          metrics: async () => ({
            contentType: metrics.registry.contentType,
            text: await metrics.registry.metrics(),
          }),
          admin: (): AdminSettings | undefined =>
            door === undefined || node === undefined ? undefined : { ...subject, door, drain: node.#drain },
          onFault: (error) => {
            metrics.errors.inc({ where: 'http', code: 'internal' });
            logger.error({ err: error }, 'an HTTP request of an operator failed');
          },
          logger,
        },
        tlsFiles(),
      );
      servers.operators = operators;
      await operators.listen(asked.port, asked.host);
      const controlTls = tlsFiles();
      const http =
        controlTls === undefined
          ? createServer(HTTP_OPTIONS, nothingHere)
          : createTlsServer(
              { ...HTTP_OPTIONS, handshakeTimeout: TLS_HANDSHAKE_MS, ...controlTls.read() },
              nothingHere,
            );
      answerOddHttp(http);
      const guard = guardPort(metrics);
      guardConnections(http, guard);
      guardWebSockets(http, guard);
      servers.http = http;
      servers.controlTls = controlTls;
      await listen(http, options, metrics);
      controlTls?.follow(http);
      const claimed = await claimSlice({
        config,
        store,
        incarnation,
        clock: systemClock,
        metrics,
        logger,
        onWaiting: (reason) => {
          readiness = () => ({ ready: false, reasons: [reason] });
        },
      });
      node = new MediaNode(options, {
        ...claimed,
        incarnation,
        metrics,
        http,
        guard,
        operators,
        controlTls,
        caFile,
      });
      const started = node;
      readiness = () => started.readiness();
      await started.#start();
      return started;
    } catch (error) {
      if (node !== undefined) await node.stop();
      else await giveUp(servers, options, incarnation, metrics);
      if (error instanceof StartRefused) throw error;
      throw new StartRefused(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** Whether to send this node new peers, with every reason against it. */
  readiness(): Readiness {
    const reasons = [
      this.#stopping ? 'stopping' : undefined,
      this.#drain.isOn ? 'draining' : undefined,
      this.#options.store.isAvailable() ? undefined : 'store_unavailable',
      this.#options.store.consul?.isAvailable() === false ? 'consul_unavailable' : undefined,
      this.#lease.missing(),
      this.pool.alive().length > 0 ? undefined : 'no_worker_alive',
      this.#reach.isSurelyUnreached ? 'media_unreached' : undefined,
      this.#edgeLinks.isUnlinked ? 'no_edge_link' : undefined,
    ].filter((reason) => reason !== undefined);
    const store = this.#options.store.trouble?.();
    const consul = this.#options.store.consul?.trouble;
    return {
      ready: reasons.length === 0,
      reasons,
      ...(store === undefined ? {} : { store }),
      ...(consul === undefined ? {} : { consul }),
    };
  }

  /** Has everybody open media elsewhere while it goes on here; at the deadline who is left is cut off (SPEC DR3). */
  drain(deadlineMs: number): Promise<DrainEnd> {
    return this.#drain.begin(deadlineMs);
  }

  /** Takes people again. */
  undrain(): void {
    this.#drain.cancel();
  }

  /** Stops taking peers, tells the edges of those that are here, and frees everything. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#drain.stop();
    this.#names.stop();
    this.#addressCheck.stop();
    this.#edgeLinks.stop();
    this.#files?.stop();
    this.#workerFiles?.stop();
    this.#endAvailability?.();
    this.#endConsul?.();
    this.#endConsulTrouble?.();
    this.#endTrouble?.();
    this.#load.stop();
    this.#directory.close();
    await atMost(systemTimers, FAREWELL_MS, this.#lease.stop());
    await this.#handOver();
    this.#incoming.stop();
    this.#resends.stop();
    this.rooms.close();
    this.#reach.close();
    await atMost(systemTimers, FAREWELL_MS, this.#outbox.settled());
    this.#outbox.close();
    this.#nodes.close();
    this.#linkLines.close();
    await this.#control.close();
    this.#servers.controlTls?.stop();
    await this.pool.close();
    this.#servers.operators.close();
  }

  async #start(): Promise<void> {
    const { store, config, logger } = this.#options;
    const { webRtcPorts } = this.#ports;
    const [firstPort] = webRtcPorts;
    if (firstPort !== undefined) await Promise.all([this.#names.start(), this.#addressCheck.look(firstPort)]);
    const lonePort = loneLowPort(webRtcPorts);
    if (lonePort !== undefined) logger.warn({ webRtcPorts }, lonePort);
    await this.pool.start().catch((cause: unknown) => {
      throw new StartRefused(workerStartFault(this.#options.config.workerBin, cause), { cause });
    });
    this.#files = watchFiles(config, this.#ports, logger);
    this.#workerFiles = new WorkerFiles(() => this.pool.alive(), this.metrics, logger);
    this.#addressCheck.start();
    this.#endAvailability = store.onAvailability(
      entry('store', (available) => {
        this.metrics.store.set(available ? 1 : 0);
        if (available) inBackground(() => this.#storeReturned());
      }),
    );
    this.metrics.store.set(store.isAvailable() ? 1 : 0);
    showTrouble(this.metrics.storeTrouble, STORE_TROUBLES, store.trouble?.());
    this.#endTrouble = store.onTrouble?.(
      entry('store', (trouble) => showTrouble(this.metrics.storeTrouble, STORE_TROUBLES, trouble)),
    );
    this.#endConsul = store.consul?.onChange(
      entry('registry', (available) => {
        this.metrics.consul.set(available ? 1 : 0);
        if (available) inBackground(() => this.#lease.renew());
      }),
    );
    this.metrics.consul.set(store.consul?.isAvailable() === false ? 0 : 1);
    showTrouble(this.metrics.consulTrouble, CONSUL_TROUBLES, store.consul?.trouble);
    this.#endConsulTrouble = store.consul?.onTrouble(
      entry('registry', (trouble) => showTrouble(this.metrics.consulTrouble, CONSUL_TROUBLES, trouble)),
    );
    this.#load.start();
    this.#directory.start();
    this.rooms.startRepublishing();
    this.#incoming.start();
    this.#resends.start();
    await this.#lease.start();
    this.#edgeLinks.start();
    const { mediaNodeId, controlUrl, workers } = config;
    logger.info(
      { mediaNodeId, controlUrl, workers, portSlice: textOf(this.portSlice) },
      'media node started',
    );
    for (const setting of config.weaknesses) logger.warn({ setting }, 'a setting leaves this cluster open');
  }

  /** The own peers go elsewhere at once; what comes through this node to others goes on until it comes another way. */
  async #handOver(): Promise<void> {
    this.rooms.leave();
    this.rooms.closePeers();
    const untilMs = systemClock.monotonicMs() + (this.#options.handoverMs ?? HANDOVER_MS);
    while (this.rooms.isRelaying && systemClock.monotonicMs() < untilMs) await sleep(HANDOVER_POLL_MS);
  }

  #noteReach(people: number): void {
    const { metrics, portSlice } = this;
    const { config, logger } = this.#options;
    const { isUnreached, isSurelyUnreached } = this.#reach;
    metrics.unreached.set(isUnreached ? 1 : 0);
    const announced = config.addresses.map((address) => address.announced);
    const ports = textOf(portSlice);
    if (isSurelyUnreached)
      logger.error(
        {
          announced,
          ports,
          people,
          toDo: 'check the announced address, and that UDP and TCP to these ports pass firewalls, NAT and security groups',
        },
        'nobody finds a path to the announced address; newcomers are sent to other nodes where there are any',
      );
    else if (isUnreached)
      logger.warn(
        { announced, ports, people },
        'clients of two networks found no path to the announced address; newcomers are sent to other nodes of the datacenter for a while',
      );
    else logger.info({ announced, ports }, 'newcomers are taken again');
    // Said at once, so that edges send nobody here any more, or again.
    inBackground(() => this.#lease.renew());
  }

  /** First the lease, so that others know the node again; then what it owns. Never rejects. */
  async #storeReturned(): Promise<void> {
    await this.#lease.renew();
    this.rooms.storeReturned();
  }

  #record(): MediaNodeRecord {
    const { mediaNodeId, datacenter, controlUrl, operators, addresses, maxPeers } = this.#options.config;
    return {
      mediaNodeId,
      incarnation: this.incarnation,
      datacenter,
      controlVersion: CONTROL_VERSION,
      controlUrl,
      ...(operators.url === undefined ? {} : { operatorUrl: operators.url }),
      ...announcedAddresses(addresses),
      portSlice: this.portSlice,
      state: this.#stopping || this.#drain.isOn ? 'draining' : 'serving',
      load: this.#load.load,
      peerCount: this.rooms.peerCount,
      maxPeers,
      recentJoins: this.rooms.recentJoins,
      isUnreached: this.#reach.isUnreached,
      isSurelyUnreached: this.#reach.isSurelyUnreached,
      reportedAtMs: systemClock.wallMs(),
    };
  }
}

function guardPort(metrics: NodeMetrics): PortGuard {
  return new PortGuard({
    ...PORT_GUARD_LIMITS,
    clock: systemClock,
    onRefused: (reason) => metrics.refusedConnections.inc({ reason }),
  });
}

/** @throws StartRefused when the port is taken */
function listen(http: Server, { config, logger }: MediaNodeOptions, metrics: NodeMetrics): Promise<void> {
  const { host, port } = config;
  return new Promise((resolve, reject) => {
    const fail = entry('http', (error: NodeJS.ErrnoException): void => {
      reject(new StartRefused(listenFault(LISTEN_SETTINGS, port, host, error)));
    });
    http.once('error', fail);
    http.listen(
      port,
      host,
      entry('http', () => {
        http.off('error', fail);
        http.on(
          'error',
          entry('http', (error) => {
            metrics.errors.inc({ where: 'http', code: 'internal' });
            logger.error({ err: error }, 'the HTTP server failed');
          }),
        );
        resolve();
      }),
    );
  });
}

/** Control links come over Socket.IO; whoever asks for anything else at their port gets nothing (SPEC OP1). */
const nothingHere = entry('http', (_request: IncomingMessage, response: ServerResponse) => {
  response.writeHead(404, { 'content-type': 'text/plain' });
  response.end('not found\n');
});

/** Leaves nothing of a node that did not come so far as to have workers; a slice that it claimed is given back. */
async function giveUp(
  { http, operators, controlTls }: NodeServers,
  { config, store, logger }: MediaNodeOptions,
  incarnation: Incarnation,
  metrics: NodeMetrics,
): Promise<void> {
  const withdrawing = store.registry.withdrawMediaNode(config.mediaNodeId, incarnation);
  await atMost(
    systemTimers,
    FAREWELL_MS,
    withdrawing.catch((thrown: unknown) => {
      metrics.errors.inc({ where: 'slice', code: toPlenaryError(thrown).code });
      logger.warn({ err: thrown }, 'the port slice could not be given back; its lease will lapse');
    }),
  );
  controlTls?.stop();
  operators?.close();
  http?.closeAllConnections();
  await new Promise<void>((resolve) => {
    if (http?.listening === true)
      http.close(
        entry('http', () => {
          resolve();
        }),
      );
    else resolve();
  });
}
