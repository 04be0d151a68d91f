/**
 * The parts of a media node, built in one order from narrow ports: workers and addresses; then the node's place in
 * the cluster; then the meetings that it hosts. Each part gets only parts that exist already. Callbacks are passed
 * where a part starts (`media-node.ts`), since rooms need the lease to admit peers, and the lease needs rooms to
 * announce the node.
 */
import {
  Drain,
  FIRST_LINES,
  inBackground,
  leftOut,
  RareLines,
  systemClock,
  systemTimers,
  toPlenaryError,
} from '@plenary/cluster';
import type { ControlNotice, Incarnation, Logger } from '@plenary/cluster';
import { AddressCheck } from './address-check.ts';
import { NodeAdmission } from './node-admission.ts';
import { AnnouncedNames } from './announced-names.ts';
import type { MediaNodeConfig } from './config.ts';
import { ControlServer } from './control/control-server.ts';
import { EdgeLinkWatch } from './control/edge-link-watch.ts';
import { NodeDirectory } from './control/node-directory.ts';
import { NodeLinks } from './control/node-links.ts';
import { OpenLinks } from './control/open-links.ts';
import { WorkerPool } from './engine/worker-pool.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LoadMeter } from './load-meter.ts';
import { announcedAddresses } from './media-address.ts';
import type { NodeMetrics } from './metrics.ts';
import { NetworkMeter } from './network-meter.ts';
import type { NodeServers } from './node-servers.ts';
import { PeerWatches } from './peer-watches.ts';
import type { Machine } from './pipe/machine.ts';
import { reportReach } from './reach-report.ts';
import { NoResends } from './room/no-resends.ts';
import type { NodeStore } from './room/node-store.ts';
import { EventOutbox } from './room/event-outbox.ts';
import type { Peer } from './room/peer.ts';
import { AddressReachability } from './room/address-reachability.ts';
import { Rooms } from './room/rooms.ts';
import type { ClaimedSlice } from './slice-claim.ts';

/**
 * The parts that a node is built from: its settings, its store, its open ports and its claimed slice of RTP ports.
 */
export interface NodeBase extends ClaimedSlice {
  readonly config: MediaNodeConfig;
  readonly store: NodeStore;
  readonly incarnation: Incarnation;
  readonly servers: Pick<NodeServers, 'http' | 'guard' | 'caFile'>;
  readonly machine: Machine;
  readonly workerPackingLimit: number;
  readonly gatewayPatienceMs: number;
  /** The registry refuses the node permanently after its start, and no peer is left on it: it must stop. */
  readonly onRefused: (error: Error) => void;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
}

/** Builds the workers on their ports, the addresses that are announced to clients, and the load meter. */
function assembleEngine({ config, store, ports, machine, metrics, logger }: NodeBase) {
  const { addresses, pipeAddresses, workerBin, maxOutgoingMbit, maxPacketsPerSecond } = config;
  const names = new AnnouncedNames({ addresses, logger });
  const addressCheck = new AddressCheck({
    addresses,
    clientAddresses: names.current,
    liveEdges: () => store.registry.liveEdges(),
    hasAddress: (address) => machine.hasAddress(address),
    logger,
  });
  const pool = new WorkerPool({
    metrics,
    logger,
    addresses,
    pipeAddresses,
    clientAddresses: names.current,
    ports,
    workerBin,
  });
  const network = new NetworkMeter({
    listenIps: addresses.map(({ listenIp }) => listenIp),
    maxOutgoingMbit,
    maxPacketsPerSecond,
  });
  const load = new LoadMeter(pool, network, metrics, logger);
  return { names, addressCheck, pool, load };
}

/**
 * Builds the node's place in the cluster: its lease and admission, the other media nodes, and whether clients reach
 * it.
 */
function assembleCluster(base: NodeBase) {
  const { config, store, incarnation, portSlice, servers, onRefused, metrics, logger } = base;
  const { mediaNodeId, identity, leaseMs, addresses } = config;
  const lease = new LeaseKeeper({
    registry: store.registry,
    mediaNodeId,
    incarnation,
    leaseMs,
    clock: systemClock,
    metrics,
    logger,
    onRefused,
  });
  const admission = new NodeAdmission(lease);
  const directory = new NodeDirectory(store.registry, metrics, logger);
  const linkLines = new RareLines(systemClock, FIRST_LINES);
  const nodes = new NodeLinks({
    directory,
    identity,
    caller: { kind: 'media-node', id: mediaNodeId, incarnation },
    caFile: servers.caFile,
    onFault: (where, thrown) => {
      const error = toPlenaryError(thrown);
      metrics.errors.inc({ where, code: error.code });
      // The store decides which nodes this one needs, and how many, so the lines are limited.
      linkLines.say(`${where} ${error.code}`, (unsaid) => {
        logger.warn({ err: error, where, ...leftOut(unsaid) }, 'control link to another media node failed');
      });
    },
    metrics,
    logger,
  });
  const reach = new AddressReachability({
    clock: systemClock,
    timers: systemTimers,
    changed: (people, verdict) => {
      reportReach({ addresses, portSlice, metrics, logger }, people, verdict);
      // The change is announced at once, so that edges stop or resume placing peers here.
      inBackground(() => lease.renew());
    },
  });
  return { lease, admission, directory, linkLines, nodes, reach };
}

type Engine = ReturnType<typeof assembleEngine>;
type Surroundings = ReturnType<typeof assembleCluster>;

/** Builds the rooms, the watches over their peers, the drain, and the control server for edges and other nodes. */
function assembleMeetings(base: NodeBase, { pool }: Engine, around: Surroundings) {
  const { config, store, incarnation, ports, servers, machine, metrics, logger } = base;
  const { mediaNodeId, datacenter, addresses, pipeAddresses, identity } = config;
  const { lease, admission, nodes, reach } = around;
  const outbox = new EventOutbox(metrics, logger);
  const links = new OpenLinks();
  const noResends = new NoResends(systemClock);
  const rooms = new Rooms({
    mediaNodeId,
    datacenter,
    origin: {
      addresses: announcedAddresses(addresses),
      pipeAddresses,
      pipeScope: config.pipeScope,
      machine,
    },
    pool,
    store,
    outbox,
    nodes,
    metrics,
    logger,
    lines: around.linkLines,
    clock: systemClock,
    reach,
    noResends,
    timers: systemTimers,
    maxPeers: config.maxPeers,
    pipeLingerMs: config.pipeLingerMs,
    gatewayPatienceMs: base.gatewayPatienceMs,
    orphanGraceMs: config.orphanGraceMs,
    workerPackingLimit: base.workerPackingLimit,
    refusal: () => admission.refusal(),
    anyEdge: () => links.anyEdge(),
  });
  nodes.listen({
    onPipeProducer: ({ trackId, state, ...key }: ControlNotice<'pipe.producer'>) => {
      rooms.producerChanged(key, trackId, state);
    },
    onPipeMoved: ({ homeNodeId, ...key }: ControlNotice<'pipe.moved'>) => {
      rooms.pipeMoved(key, homeNodeId);
    },
    onPipeClosed: (key) => {
      rooms.pipeClosed(key);
    },
  });
  const watches = new PeerWatches({
    rooms,
    pool,
    limits: config.incomingLimits,
    noResends,
    clock: systemClock,
    timers: systemTimers,
    metrics,
    logger,
  });
  const drain = new Drain<Peer>({
    clock: systemClock,
    members: () => rooms.peers(),
    isIdle: () => !rooms.isRelaying,
    ask: (peer) => {
      peer.requestMove();
    },
    cut: () => {
      rooms.closePeers();
    },
    changed: (isDraining) => {
      admission.setDraining(isDraining);
      const peers = rooms.peerCount;
      if (isDraining) logger.info({ peers }, 'draining: peers are asked to move to other media nodes');
      else logger.info({ peers }, 'drain cancelled: the media node takes new peers again');
      if (isDraining) rooms.leave();
      else rooms.stay();
      // The change is announced at once, so that edges stop or resume placing peers here.
      inBackground(() => lease.renew());
    },
  });
  const edgeLinks = new EdgeLinkWatch({
    hasEdgeLink: () => links.anyEdge() !== undefined,
    liveEdges: () => store.registry.liveEdges(),
    controlUrl: config.controlUrl,
    leaseMs: config.leaseMs,
    clock: systemClock,
    onChange: (isUnlinked) => metrics.noEdgeLink.set(isUnlinked ? 1 : 0),
    logger,
  });
  const control = new ControlServer({
    http: servers.http,
    guard: servers.guard,
    mediaNodeId,
    datacenter,
    incarnation,
    identity,
    rooms,
    links,
    machineId: machine.id,
    pipeAddresses,
    pipePorts: ports.pipePorts.max - ports.pipePorts.min + 1,
    onMediaNode: (other) => {
      nodes.open(other);
    },
    onEdge: () => {
      edgeLinks.edgeLinkOpened();
    },
    metrics,
    logger,
    clock: systemClock,
  });
  return { outbox, rooms, watches, drain, edgeLinks, control };
}

/** All parts of a node, built but not started. */
export type NodeParts = Engine & Surroundings & ReturnType<typeof assembleMeetings>;

/** Builds the parts of a node. The control server accepts links from then on. */
export function assembleNode(base: NodeBase): NodeParts {
  const engine = assembleEngine(base);
  const around = assembleCluster(base);
  return { ...engine, ...around, ...assembleMeetings(base, engine, around) };
}
