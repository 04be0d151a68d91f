import { setTimeout as sleep } from 'node:timers/promises';
import {
  atMost,
  inBackground,
  mintIncarnation,
  systemClock,
  systemTimers,
  toPlenaryError,
} from '@plenary/cluster';
import type { DrainEnd, FileWatch, Incarnation, Logger, PortSlice, Readiness } from '@plenary/cluster';
import type { MediaNodeConfig } from './config.ts';
import { loneLowPort } from './engine/port-plan.ts';
import { WORKER_PACKING_LIMIT } from './engine/select-worker.ts';
import { workerBinaryFault, workerStartFault } from './engine/worker-binary.ts';
import type { WorkerPool } from './engine/worker-pool.ts';
import { fileFault, watchFiles, WorkerFiles } from './file-limit.ts';
import { FAREWELL_MS, HANDOVER_MS } from './lifecycle.ts';
import { createMetrics } from './metrics.ts';
import type { NodeMetrics } from './metrics.ts';
import { assembleNode } from './node-assembly.ts';
import type { NodeBase, NodeParts } from './node-assembly.ts';
import { recordOf } from './node-record.ts';
import { NodeServers } from './node-servers.ts';
import { OperatorView } from './operator-view.ts';
import { THIS_MACHINE } from './pipe/machine.ts';
import type { Machine } from './pipe/machine.ts';
import { GATEWAY_PATIENCE_MS } from './pipe/track-routes.ts';
import { readinessOf } from './readiness.ts';
import type { NodeStore } from './room/node-store.ts';
import type { Peer } from './room/peer.ts';
import type { Rooms } from './room/rooms.ts';
import { claimSlice, textOf } from './slice-claim.ts';
import { StartRefused } from './start-refused.ts';
import { watchStore } from './store-watch.ts';

const HANDOVER_POLL_MS = 50;

export interface MediaNodeOptions {
  readonly config: MediaNodeConfig;
  readonly store: NodeStore;
  readonly logger: Logger;
  readonly metrics?: NodeMetrics;
  /** Peers of one room on one worker before it spreads; {@link WORKER_PACKING_LIMIT} except in tests. */
  readonly workerPackingLimit?: number;
  /**
   * How long a stop waits for the nodes behind this gateway, in milliseconds; {@link HANDOVER_MS} except in tests.
   */
  readonly handoverMs?: number;
  /** How long this node waits for a gateway, in milliseconds; {@link GATEWAY_PATIENCE_MS} except in tests. */
  readonly gatewayPatienceMs?: number;
  /** The machine that the node runs on; {@link THIS_MACHINE} except in tests. */
  readonly machine?: Machine;
  /** The registry refuses the node permanently after its start, and no peer is left on it: it must stop. */
  readonly onRefused: (error: Error) => void;
}

/**
 * A media node without its process. Owns the node's lifecycle: start, drain and stop. `node-assembly.ts` builds its
 * parts.
 */
export class MediaNode {
  readonly incarnation: Incarnation;
  /** The RTP ports that the node owns. */
  readonly portSlice: PortSlice;
  readonly metrics: NodeMetrics;
  readonly #base: NodeBase;
  readonly #servers: NodeServers;
  readonly #handoverMs: number;
  readonly #parts: NodeParts;
  #stopStoreWatch: (() => void) | undefined;
  #files: FileWatch | undefined;
  #workerFiles: WorkerFiles | undefined;

  private constructor(base: NodeBase, servers: NodeServers, handoverMs: number) {
    this.#base = base;
    this.#servers = servers;
    this.#handoverMs = handoverMs;
    this.metrics = base.metrics;
    this.incarnation = base.incarnation;
    this.portSlice = base.portSlice;
    this.#parts = assembleNode(base);
  }

  /**
   * Listens, gets ports for the node, starts workers and announces the node. While it waits for a leased port slice,
   * the process is healthy and reports the reason.
   * @throws StartRefused with one sentence, after which nothing is left running
   */
  static async start(options: MediaNodeOptions): Promise<MediaNode> {
    const { config, store, logger, onRefused, metrics = createMetrics(false) } = options;
    const missing = (await workerBinaryFault(config.workerBin)) ?? fileFault(config);
    if (missing !== undefined) throw new StartRefused(missing);
    const incarnation = mintIncarnation();
    const view = new OperatorView<Peer>(config.mediaNodeId, config.operators, systemClock);
    let servers: NodeServers | undefined;
    let node: MediaNode | undefined;
    try {
      servers = new NodeServers({ config, view, clock: systemClock, metrics, logger });
      await servers.listen();
      const claimed = await claimSlice({
        config,
        store,
        incarnation,
        clock: systemClock,
        metrics,
        logger,
        onWaiting: (reason) => {
          view.noteWaiting(reason);
        },
      });
      const base: NodeBase = {
        ...claimed,
        config,
        store,
        incarnation,
        servers,
        machine: options.machine ?? THIS_MACHINE,
        workerPackingLimit: options.workerPackingLimit ?? WORKER_PACKING_LIMIT,
        gatewayPatienceMs: options.gatewayPatienceMs ?? GATEWAY_PATIENCE_MS,
        onRefused,
        metrics,
        logger,
      };
      node = new MediaNode(base, servers, options.handoverMs ?? HANDOVER_MS);
      view.started(node, node.#parts.drain);
      await node.#start();
      return node;
    } catch (error) {
      if (node !== undefined) await node.stop();
      else {
        await releaseSlice(options, incarnation, metrics);
        await servers?.close();
      }
      if (error instanceof StartRefused) throw error;
      throw new StartRefused(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  get rooms(): Rooms {
    return this.#parts.rooms;
  }

  get pool(): WorkerPool {
    return this.#parts.pool;
  }

  /**
   * Asks all peers to open media sessions elsewhere while they continue here; peers that are left at the deadline are
   * cut off (SPEC DR3, DR11).
   */
  drain(deadlineMs: number): Promise<DrainEnd> {
    return this.#parts.drain.begin(deadlineMs);
  }

  /** Cancels the drain: the node admits peers again. */
  undrain(): void {
    this.#parts.drain.cancel();
  }

  /** Whether new peers should be sent to this node, with every reason against it. */
  readiness(): Readiness {
    const { admission, lease, pool, reach, edgeLinks } = this.#parts;
    const { store } = this.#base;
    return readinessOf({
      isStopping: admission.isStopping,
      isDraining: admission.isDraining,
      isStoreAvailable: store.isAvailable(),
      isConsulAvailable: store.consul?.isAvailable(),
      leaseMissing: lease.missing(),
      workersAlive: pool.alive().length,
      isSurelyUnreached: reach.isSurelyUnreached,
      isUnlinked: edgeLinks.isUnlinked,
      storeTrouble: store.trouble?.(),
      consulTrouble: store.consul?.trouble,
    });
  }

  /**
   * Stops admitting peers, notifies the edges of hosted peers, and frees everything (SPEC LC1). The order: the node
   * leaves the registry; its peers are closed, and nodes behind it find another gateway; rooms write their last
   * changes; links, workers and ports close.
   */
  async stop(): Promise<void> {
    const parts = this.#parts;
    if (parts.admission.isStopping) return;
    parts.admission.setStopping();
    parts.drain.stop();
    parts.names.stop();
    parts.addressCheck.stop();
    parts.edgeLinks.stop();
    this.#files?.stop();
    this.#workerFiles?.stop();
    this.#stopStoreWatch?.();
    parts.load.stop();
    parts.directory.close();
    await atMost(systemTimers, FAREWELL_MS, parts.lease.stop());
    await this.#handOver();
    parts.watches.stop();
    parts.rooms.close();
    parts.reach.close();
    await atMost(systemTimers, FAREWELL_MS, parts.outbox.settled());
    parts.outbox.close();
    parts.nodes.close();
    parts.linkLines.close();
    await parts.control.close();
    await parts.pool.close();
    await this.#servers.close();
  }

  async #start(): Promise<void> {
    const { store, config, ports, metrics, logger } = this.#base;
    const { names, addressCheck, pool, load, directory, rooms, watches, lease, edgeLinks } = this.#parts;
    const { webRtcPorts } = ports;
    const [firstPort] = webRtcPorts;
    if (firstPort !== undefined) await Promise.all([names.start(), addressCheck.check(firstPort)]);
    const lonePort = loneLowPort(webRtcPorts);
    if (lonePort !== undefined) logger.warn({ webRtcPorts }, lonePort);
    const starting = pool.start((workerIndex) => {
      rooms.workerDied(workerIndex);
    });
    await starting.catch((cause: unknown) => {
      throw new StartRefused(workerStartFault(config.workerBin, cause), { cause });
    });
    this.#files = watchFiles(config, ports, logger);
    this.#workerFiles = new WorkerFiles(() => pool.alive(), metrics, logger);
    addressCheck.start();
    this.#stopStoreWatch = watchStore(store, metrics, {
      onStoreReturned: () => {
        inBackground(() => this.#storeReturned());
      },
      onConsulReturned: () => {
        inBackground(() => lease.renew());
      },
    });
    load.start();
    directory.start();
    rooms.startRepublishing();
    watches.start();
    const sources = { ...this.#base, ...this.#parts, clock: systemClock };
    await lease.start({ record: () => recordOf(sources), isEmpty: () => rooms.peerCount === 0 });
    edgeLinks.start();
    const { mediaNodeId, controlUrl, workers } = config;
    logger.info(
      { mediaNodeId, controlUrl, workers, portSlice: textOf(this.portSlice) },
      'media node started',
    );
    for (const setting of config.weaknesses) logger.warn({ setting }, 'setting leaves this cluster open');
  }

  /**
   * Closes the hosted peers at once; tracks that this node relays continue until the nodes behind it use another
   * path.
   */
  async #handOver(): Promise<void> {
    const { rooms } = this.#parts;
    rooms.leave();
    rooms.closePeers();
    const untilMs = systemClock.monotonicMs() + this.#handoverMs;
    while (rooms.isRelaying && systemClock.monotonicMs() < untilMs) await sleep(HANDOVER_POLL_MS);
  }

  /** Renews the lease first, so that others know the node again, then publishes the node's records. Never rejects. */
  async #storeReturned(): Promise<void> {
    await this.#parts.lease.renew();
    this.#parts.rooms.storeReturned();
  }
}

/** Releases the port slice of a node that failed before its workers started. Never rejects. */
async function releaseSlice(
  { config, store, logger }: Pick<MediaNodeOptions, 'config' | 'store' | 'logger'>,
  incarnation: Incarnation,
  metrics: NodeMetrics,
): Promise<void> {
  const withdrawing = store.registry.withdrawMediaNode(config.mediaNodeId, incarnation);
  await atMost(
    systemTimers,
    FAREWELL_MS,
    withdrawing.catch((thrown: unknown) => {
      metrics.errors.inc({ where: 'slice', code: toPlenaryError(thrown).code });
      logger.warn({ err: thrown }, 'port slice not released; its lease will lapse');
    }),
  );
}
