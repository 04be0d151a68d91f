import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { CONTROL_VERSION, mintIncarnation, systemClock, toPlenaryError } from '@plenary/cluster';
import type { Incarnation, Logger, MediaNodeRecord } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import { ControlServer } from './control/control-server.ts';
import { NodeDirectory } from './control/node-directory.ts';
import { NodeLinks } from './control/node-links.ts';
import { checkSlice } from './engine/port-checks.ts';
import type { PortPlan } from './engine/port-plan.ts';
import { WORKER_PACKING_LIMIT } from './engine/select-worker.ts';
import { workerBinaryFault } from './engine/worker-binary.ts';
import { WorkerPool } from './engine/worker-pool.ts';
import { healthHandler } from './health.ts';
import type { Readiness } from './health.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LoadMeter } from './load-meter.ts';
import { createMetrics } from './metrics.ts';
import type { NodeMetrics } from './metrics.ts';
import { NetworkMeter } from './network-meter.ts';
import type { NodeStore } from './room/node-store.ts';
import { Outbox } from './room/outbox.ts';
import { Rooms } from './room/rooms.ts';
import { systemTimers } from './room/timers.ts';

/** How long a stop waits for the store to hear of it, and of ended tracks, in milliseconds. */
const FAREWELL_MS = 1_000;

/** Why a node does not start: one sentence for whoever started it. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}

export interface MediaNodeOptions {
  readonly config: MediaNodeConfig;
  readonly store: NodeStore;
  readonly logger: Logger;
  readonly metrics?: NodeMetrics;
  /** Peers of one room on one worker before it spreads; {@link WORKER_PACKING_LIMIT} but in tests. */
  readonly workerPackingLimit?: number;
  /** The registry refused the node for good after it had started: it must stop. */
  readonly onRefused: (error: Error) => void;
}

/** A media node: everything of one process but the process itself. */
export class MediaNode {
  readonly incarnation: Incarnation = mintIncarnation();
  readonly metrics: NodeMetrics;
  readonly rooms: Rooms;
  readonly pool: WorkerPool;
  readonly #options: MediaNodeOptions;
  readonly #outbox: Outbox;
  readonly #load: LoadMeter;
  readonly #lease: LeaseKeeper;
  readonly #directory: NodeDirectory;
  readonly #nodes: NodeLinks;
  readonly #http: Server;
  readonly #control: ControlServer;
  #endAvailability: (() => void) | undefined;
  #endConsul: (() => void) | undefined;
  #stopping = false;

  private constructor(options: MediaNodeOptions, ports: PortPlan) {
    this.#options = options;
    const { config, store, logger } = options;
    const { mediaNodeId, datacenter, clusterSecret, announcedAddress } = config;
    const metrics = options.metrics ?? createMetrics(false);
    this.metrics = metrics;
    this.pool = new WorkerPool(
      { metrics, logger, listenIp: config.listenIp, announcedAddress, ports, workerBin: config.workerBin },
      (workerIndex) => {
        this.rooms.workerDied(workerIndex);
      },
    );
    this.#outbox = new Outbox(metrics, logger);
    const network = new NetworkMeter({
      listenIp: config.listenIp,
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
      onRefused: options.onRefused,
    });
    this.#directory = new NodeDirectory(store.registry, metrics, logger);
    this.#nodes = new NodeLinks({
      directory: this.#directory,
      clusterSecret,
      caller: { kind: 'media-node', id: mediaNodeId, incarnation: this.incarnation },
      onPipeProducer: ({ roomId, trackId, state }) => {
        this.rooms.producerChanged(roomId, trackId, state);
      },
      onPipeClosed: (key) => {
        this.rooms.pipeClosed(key);
      },
      onFault: (where, thrown) => {
        const error = toPlenaryError(thrown);
        metrics.errors.inc({ where, code: error.code });
        logger.warn({ err: error }, 'link to another node');
      },
      metrics,
      logger,
    });
    this.rooms = new Rooms({
      mediaNodeId,
      datacenter,
      announcedAddress,
      pool: this.pool,
      store,
      outbox: this.#outbox,
      nodes: this.#nodes,
      metrics,
      logger,
      clock: systemClock,
      timers: systemTimers,
      maxPeers: config.maxPeers,
      pipeLingerMs: config.pipeLingerMs,
      orphanGraceMs: config.orphanGraceMs,
      workerPackingLimit: options.workerPackingLimit ?? WORKER_PACKING_LIMIT,
      refusal: () => (this.#stopping ? 'It is stopping.' : this.#lease.missing()),
      anyEdge: () => this.#control.anyEdge(),
    });
    this.#http = createServer(healthHandler(() => this.readiness(), metrics, logger));
    this.#control = new ControlServer({
      http: this.#http,
      mediaNodeId,
      datacenter,
      incarnation: this.incarnation,
      clusterSecret,
      rooms: this.rooms,
      metrics,
      logger,
    });
  }

  /**
   * Checks the machine, starts workers, serves and announces the node.
   * @throws StartRefused with one sentence, after which nothing is left running
   */
  static async start(options: MediaNodeOptions): Promise<MediaNode> {
    const { config } = options;
    const missing = await workerBinaryFault(config.workerBin);
    if (missing !== undefined) throw new StartRefused(missing);
    const ports = await checkSlice(config.portSlice, config.workers, config.listenIp);
    if ('fault' in ports) throw new StartRefused(`PLENARY_PORT_SLICE ${sliceOf(config)}: ${ports.fault}`);
    const node = new MediaNode(options, ports);
    try {
      await node.#start();
      return node;
    } catch (error) {
      await node.stop();
      if (error instanceof StartRefused) throw error;
      throw new StartRefused(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** Whether to send this node new peers, with every reason against it. */
  readiness(): Readiness {
    const reasons = [
      this.#stopping ? 'stopping' : undefined,
      this.#options.store.isAvailable() ? undefined : 'store_unavailable',
      this.#options.store.consul?.isAvailable() === false ? 'consul_unavailable' : undefined,
      this.#lease.missing(),
      this.pool.alive().length > 0 ? undefined : 'no_worker_alive',
    ].filter((reason) => reason !== undefined);
    return { ready: reasons.length === 0, reasons };
  }

  /** Stops taking peers, tells the edges of those that are here, and frees everything. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#endAvailability?.();
    this.#endConsul?.();
    this.#load.stop();
    this.#directory.close();
    await atMost(FAREWELL_MS, this.#lease.stop());
    this.rooms.close();
    await atMost(FAREWELL_MS, this.#outbox.settled());
    this.#outbox.close();
    await this.#nodes.close();
    await this.#control.close();
    await this.pool.close();
  }

  async #start(): Promise<void> {
    const { store, config, logger } = this.#options;
    await this.pool.start();
    await this.#listen();
    this.#endAvailability = store.onAvailability((available) => {
      this.metrics.store.set(available ? 1 : 0);
      if (available) void this.#storeReturned();
    });
    this.metrics.store.set(store.isAvailable() ? 1 : 0);
    this.#endConsul = store.consul?.onChange((available) => {
      this.metrics.consul.set(available ? 1 : 0);
      if (available) void this.#lease.renew();
    });
    this.metrics.consul.set(store.consul?.isAvailable() === false ? 0 : 1);
    this.#load.start();
    this.#directory.start();
    await this.#lease.start();
    const { mediaNodeId, datacenter, controlUrl, workers } = config;
    logger.info(
      { mediaNodeId, datacenter, controlUrl, workers, portSlice: sliceOf(config) },
      'media node started',
    );
  }

  /** First the lease, so that others know the node again; then what it owns. Never rejects. */
  async #storeReturned(): Promise<void> {
    await this.#lease.renew();
    this.rooms.storeReturned();
  }

  #listen(): Promise<void> {
    const { host, port } = this.#options.config;
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => {
        const why = error.code === 'EADDRINUSE' ? 'is taken by another process' : error.message;
        reject(new StartRefused(`PLENARY_PORT ${port} on ${host}: ${why}`));
      };
      this.#http.once('error', fail);
      this.#http.listen(port, host, () => {
        this.#http.off('error', fail);
        this.#http.on('error', (error) => {
          this.metrics.errors.inc({ where: 'http', code: 'internal' });
          this.#options.logger.error({ err: error }, 'the HTTP server failed');
        });
        resolve();
      });
    });
  }

  #record(): MediaNodeRecord {
    const { mediaNodeId, datacenter, controlUrl, announcedAddress, portSlice, maxPeers } =
      this.#options.config;
    return {
      mediaNodeId,
      incarnation: this.incarnation,
      datacenter,
      controlVersion: CONTROL_VERSION,
      controlUrl,
      announcedAddress,
      portSlice,
      state: this.#stopping ? 'draining' : 'serving',
      load: this.#load.load,
      peerCount: this.rooms.peerCount,
      maxPeers,
      recentJoins: this.rooms.recentJoins,
      reportedAtMs: systemClock.wallMs(),
    };
  }
}

async function atMost(waitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}

function sliceOf({ portSlice }: MediaNodeConfig): string {
  return `${portSlice.firstPort}-${portSlice.lastPort}`;
}
