import {
  CONTROL_REQUESTS,
  CONTROL_VERSION,
  Drain,
  INCARNATION,
  PLACED_PEER,
  PlenaryError,
  atMost,
  inBackground,
  silentLogger,
} from '@plenary/cluster';
import type {
  ControlCaller,
  ControlNoticeInput,
  ControlNoticeName,
  DatacenterId,
  Incarnation,
  MediaNodeId,
  MediaNodeRecord,
  PlacedPeer,
  PortSlice,
  RoomId,
} from '@plenary/cluster';
import type { ReplyEnvelope } from '@plenary/cluster/protocol';
import { RuleBroken } from '@plenary/cluster/testing/simulation/rule-broken';
import type { SimulatedStoreClient } from '@plenary/cluster/testing/simulation/store-client';
import type { SimulatedStore } from '@plenary/cluster/testing/simulation/store-server';
import { bear } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { describe } from '@plenary/cluster/testing/simulation/calls';
import type { Net, Wire } from '@plenary/cluster/testing/simulation/wire';
import {
  GATEWAY_PATIENCE_MS,
  announcedAddresses,
  claimSlice,
  createDispatch,
  createMetrics,
  LeaseKeeper,
  NodeBudgets,
  NodeDirectory,
  NoResends,
  EventOutbox,
  AddressReachability,
  Rooms,
  systemTimers,
  UNKNOWN_MACHINE,
} from '@plenary/media-node/simulation';
import type {
  AcceptedControlLink,
  MediaAddresses,
  PipeRequester,
  SliceSource,
} from '@plenary/media-node/simulation';
import { Engine } from './engine/engine.ts';
import { Host } from './engine/host.ts';
import type { Ether } from './engine/host.ts';
import { NodeWires } from './node-wires.ts';
import type { TakeNotice } from './node-wires.ts';

export interface SimulatedMediaNodePlan {
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  /** The machine's announced address; nodes of one machine share its ports. */
  readonly host: string;
  readonly sliceSource: SliceSource;
}

export interface MediaNodeSettings {
  readonly leaseMs: number;
  readonly orphanGraceMs: number;
  readonly pipeLingerMs: number;
  readonly workers: number;
  readonly workerPackingLimit: number;
  readonly maxPeers: number;
}

/** The parts of the world that a media node reaches. */
export interface NodeWorld {
  readonly net: Net;
  readonly store: SimulatedStore;
  readonly ether: Ether;
  /** The other process of the machine that has bound ports of a slice, if there is one. */
  readonly portHolder: (host: string, slice: PortSlice, self: Life) => string | undefined;
  readonly settings: MediaNodeSettings;
  readonly broken: BrokenParts;
  /** The live process under an id. */
  readonly nodeAt: (mediaNodeId: MediaNodeId) => SimulatedMediaNode | undefined;
  /** The registry refused the node or its ports, and the process has ended. */
  readonly onRefused: () => void;
  readonly onBroken: (rule: RuleBroken) => void;
}

/** Parts that a test breaks on purpose to prove that the simulation finds the fault. */
export interface BrokenParts {
  /** Changes a request before the node sees it; `undefined` answers it without carrying it out. */
  readonly request?: (name: string, payload: unknown, node: SimulatedMediaNode) => unknown;
  /** Whether a machine lets two processes bind one port. */
  readonly sharesPorts?: boolean;
}

/** These are the waits of the real node's stop, in milliseconds. */
const FAREWELL_MS = 1_000;
const HANDOVER_MS = 5_000;
const HANDOVER_POLL_MS = 20;
/** More pipe ports than any simulated meeting needs. */
const PIPE_PORTS = 1_000;

/** The simulation never reads these metrics. */
const metrics = createMetrics(false);
const logger = silentLogger();

/** An incarnation made from a number; it only has to be unique. */
export function incarnationOf(number: number): Incarnation {
  return INCARNATION.parse(`00000000-0000-4000-8000-${String(number).padStart(12, '0')}`);
}

/** The node's side of a control link. It uses a wire where the real one uses a socket. */
type Link = Pick<AcceptedControlLink, 'caller' | 'requester' | 'notify' | 'close'>;
type Peer = ReturnType<Rooms['peers']>[number];

/**
 * One life of a media node. Its rooms, pipes, gateways, fence, outbox, lease and directory are the real classes; its links
 * are wires and its engine is in memory.
 */
export class SimulatedMediaNode {
  readonly plan: SimulatedMediaNodePlan;
  readonly life: Life;
  readonly incarnation: Incarnation;
  readonly rooms: Rooms;
  readonly engine: Engine;
  readonly lease: LeaseKeeper;
  readonly store: SimulatedStoreClient;
  /** The node's ports, once it has claimed them. */
  portSlice: PortSlice | undefined;
  readonly #world: NodeWorld;
  readonly #drain: Drain<Peer>;
  readonly #directory: NodeDirectory;
  readonly #outbox = new EventOutbox(metrics, logger);
  readonly #nodes: NodeWires;
  readonly #reach: AddressReachability;
  readonly #budgets: NodeBudgets;
  readonly #dispatch: ReturnType<typeof createDispatch>;
  readonly #links = new Map<Wire, Link>();
  readonly #wires = new Set<Wire>();
  /** The highest epoch received for each peer, kept apart from the fence to check it. */
  readonly #highest = new Map<string, number>();
  #isStopping = false;

  constructor(world: NodeWorld, plan: SimulatedMediaNodePlan, lifeNumber: number) {
    const { net, settings } = world;
    const { mediaNodeId, datacenter } = plan;
    this.#world = world;
    this.plan = plan;
    this.life = bear(`${mediaNodeId}.${lifeNumber}`);
    this.incarnation = incarnationOf(lifeNumber);
    this.store = world.store.connect(this.life);
    const host = new Host(net, this.life, world.ether, plan.host);
    this.engine = new Engine(host, settings.workers);
    this.#directory = new NodeDirectory(this.store.registry, metrics, logger);
    this.#nodes = new NodeWires(this, world, this.#directory, this.#wires);
    this.lease = new LeaseKeeper({
      registry: this.store.registry,
      mediaNodeId,
      incarnation: this.incarnation,
      leaseMs: settings.leaseMs,
      clock: net.time,
      metrics,
      logger,
      onRefused: () => {
        this.#refused();
      },
    });
    this.#reach = new AddressReachability({
      clock: net.time,
      timers: systemTimers,
      changed: () => {
        inBackground(() => this.lease.renew());
      },
    });
    this.rooms = new Rooms({
      mediaNodeId,
      datacenter,
      origin: {
        addresses: announcedAddresses(addressesOf(plan)),
        pipeAddresses: [],
        pipeScope: 'cluster',
        machine: UNKNOWN_MACHINE,
      },
      pool: this.engine,
      store: this.store,
      outbox: this.#outbox,
      nodes: this.#nodes,
      metrics,
      logger,
      lines: { say: () => undefined },
      clock: net.time,
      reach: this.#reach,
      noResends: new NoResends(net.time),
      timers: systemTimers,
      maxPeers: settings.maxPeers,
      pipeLingerMs: settings.pipeLingerMs,
      gatewayPatienceMs: GATEWAY_PATIENCE_MS,
      orphanGraceMs: settings.orphanGraceMs,
      workerPackingLimit: settings.workerPackingLimit,
      refusal: () => {
        if (this.#isStopping) return 'The media node is stopping.';
        return this.#drain.isOn ? 'The media node is draining.' : this.lease.missing();
      },
      anyEdge: () => [...this.#links.values()].find((link) => link.caller.kind === 'edge'),
    });
    this.#drain = new Drain<Peer>({
      clock: net.time,
      members: () => this.rooms.peers(),
      isIdle: () => !this.rooms.isRelaying,
      ask: (peer) => {
        peer.requestMove();
      },
      cut: () => {
        this.rooms.closePeers();
      },
      changed: (isDraining) => {
        if (isDraining) this.rooms.leave();
        else this.rooms.stay();
        void this.lease.renew();
      },
    });
    this.#budgets = new NodeBudgets({
      clock: net.time,
      metrics,
      logger,
      pipePorts: PIPE_PORTS,
    });
    this.#dispatch = createDispatch(this.rooms, this.#budgets, {
      onFault: (fault) => {
        world.onBroken(new RuleBroken(`ER3: ${this.life.name} failed unexpectedly: ${String(fault)}`));
      },
    });
  }

  /** Call it as the process. */
  start(): void {
    this.store.onAvailability((available) => {
      if (available) void this.#storeReturned();
    });
    void this.#start();
  }

  /** Asks all peers to move to another node. Call it as the process. */
  drain(deadlineMs: number): void {
    if (this.portSlice === undefined || this.#isStopping) return;
    void this.#drain.begin(deadlineMs);
  }

  /** Accepts peers again. Call it as the process. */
  undrain(): void {
    if (!this.#isStopping) this.#drain.cancel();
  }

  /** Stops as the real node does at a second SIGTERM. Call it as the process. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#drain.stop();
    if (this.portSlice === undefined) {
      this.kill();
      return;
    }
    this.#directory.close();
    await atMost(systemTimers, FAREWELL_MS, this.lease.stop());
    this.rooms.leave();
    this.rooms.closePeers();
    const untilMs = this.#world.net.time.nowMs + HANDOVER_MS;
    while (this.rooms.isRelaying && this.#world.net.time.nowMs < untilMs) await sleep(HANDOVER_POLL_MS);
    this.rooms.close();
    await atMost(systemTimers, FAREWELL_MS, this.#outbox.settled());
    this.#outbox.close();
    this.kill();
  }

  /** The process ends without notice. */
  kill(): void {
    if (!this.life.alive) return;
    this.life.alive = false;
    for (const wire of [...this.#wires]) wire.cut();
    this.#world.ether.remove(this.engine.host);
    this.#world.store.disconnect(this.store);
  }

  /** All open wires to and from this node. */
  wires(): readonly Wire[] {
    return [...this.#wires].filter((wire) => !wire.isCut);
  }

  /** Call it as the process. */
  workerDies(index: number): void {
    this.engine.workerDies(index);
    this.rooms.workerDied(index);
  }

  /** Handles another process's connection. */
  accept(wire: Wire, caller: ControlCaller, take: TakeNotice): void {
    const { mediaNodeId, datacenter } = this.plan;
    const notify = <Name extends ControlNoticeName>(name: Name, payload: ControlNoticeInput<Name>): void => {
      wire.send(
        'caller',
        () => `${name} ${describe(payload)}`,
        () => {
          take(name, payload);
        },
      );
    };
    const requester: PipeRequester = {
      isLocal: false,
      holdPipe: () => this.#budgets.holdPipe(caller.id),
      producerChanged: (key, trackId, state) => {
        notify('pipe.producer', { ...key, trackId, state });
      },
      moved: (key, homeNodeId) => {
        notify('pipe.moved', { ...key, homeNodeId });
      },
      closed: (key) => {
        notify('pipe.closed', { ...key });
      },
    };
    const link: Link = {
      caller,
      requester,
      notify,
      close: () => {
        wire.cut();
      },
    };
    this.#links.set(wire, link);
    this.#wires.add(wire);
    notify('hello', {
      controlVersion: CONTROL_VERSION,
      mediaNodeId,
      incarnation: this.incarnation,
      datacenter,
    });
    this.rooms.linkOpened(link);
  }

  /** The callee's side of a wire has closed. */
  closed(wire: Wire): void {
    const link = this.#links.get(wire);
    this.#links.delete(wire);
    this.#wires.delete(wire);
    if (link !== undefined) this.rooms.linkClosed(link, link.requester);
  }

  /** Carries out a request and checks that the node respected the epoch rule (EP2). */
  async answer(wire: Wire, name: string, payload: unknown): Promise<ReplyEnvelope> {
    const link = this.#links.get(wire);
    if (link === undefined) return { ok: false, error: new PlenaryError('media_lost').toWire() };
    const placed = placedOf(name, payload);
    if (placed === undefined) return this.#carryOut(name, payload, link);
    const key = `${placed.roomId} ${placed.peerId}`;
    const highest = this.#highest.get(key) ?? 0;
    this.#highest.set(key, Math.max(highest, placed.epoch));
    const before = this.hostedEpoch(placed.roomId, placed.peerId);
    const reply = await this.#carryOut(name, payload, link);
    if (placed.epoch >= highest) return reply;
    if (name !== 'peer.drop' && reply.ok)
      this.#reportStaleCommand(`${name} of ${key} under ${placed.epoch} after ${highest}`);
    const isDrop = name === 'peer.drop' && before !== undefined && before > placed.epoch;
    if (isDrop && this.hostedEpoch(placed.roomId, placed.peerId) === undefined)
      this.#reportStaleCommand(`a drop of ${key} under ${placed.epoch}, which was hosted under ${before}`);
    return reply;
  }

  /** The epoch under which this node hosts a peer. */
  hostedEpoch(roomId: RoomId, peerId: PlacedPeer['peerId']): number | undefined {
    return this.rooms.room(roomId)?.find(peerId)?.placed.epoch;
  }

  #carryOut(name: string, payload: unknown, link: Link): Promise<ReplyEnvelope> {
    const { request } = this.#world.broken;
    if (request === undefined) return this.#dispatch(name, payload, link);
    const changed = request(name, payload, this);
    if (changed === undefined) return Promise.resolve({ ok: true, data: {} });
    return this.#dispatch(name, changed, link);
  }

  #reportStaleCommand(what: string): void {
    this.#world.onBroken(new RuleBroken(`EP2: ${this.life.name} carried out ${what}`));
  }

  /** Claims the ports, then announces the node. A node that is refused permanently ends. */
  async #start(): Promise<void> {
    const { net, settings, portHolder, broken } = this.#world;
    const { mediaNodeId, host, sliceSource } = this.plan;
    try {
      const { portSlice } = await claimSlice({
        config: {
          mediaNodeId,
          addresses: addressesOf(this.plan),
          sliceSource,
          workers: settings.workers,
          leaseMs: settings.leaseMs,
        },
        store: this.store,
        incarnation: this.incarnation,
        clock: net.time,
        metrics,
        logger,
        machine: {
          ephemeralFault: () => undefined,
          portFault: async (slice) => {
            const holder = broken.sharesPorts === true ? undefined : portHolder(host, slice, this.life);
            return holder === undefined ? undefined : { taken: true, message: `${holder} has a port of it` };
          },
        },
        onWaiting: () => undefined,
      });
      this.portSlice = portSlice;
      this.engine.host.firstPort = portSlice.firstPort;
      this.#directory.start();
      this.rooms.startRepublishing();
      await this.lease.start({ record: () => this.#record(), isEmpty: () => this.rooms.peerCount === 0 });
    } catch {
      // The starter of the process handles the refusal; here only the claim is returned.
      const { registry } = this.store;
      await atMost(
        systemTimers,
        FAREWELL_MS,
        registry.withdrawMediaNode(mediaNodeId, this.incarnation).catch(() => undefined),
      );
      this.#refused();
    }
  }

  #refused(): void {
    this.kill();
    this.#world.onRefused();
  }

  async #storeReturned(): Promise<void> {
    if (this.portSlice === undefined) return;
    await this.lease.renew();
    this.rooms.storeReturned();
  }

  #record(): MediaNodeRecord {
    const { net, settings } = this.#world;
    if (this.portSlice === undefined) throw new Error('A node without ports cannot be announced.');
    const { mediaNodeId, datacenter } = this.plan;
    return {
      mediaNodeId,
      datacenter,
      ...announcedAddresses(addressesOf(this.plan)),
      portSlice: this.portSlice,
      incarnation: this.incarnation,
      controlVersion: CONTROL_VERSION,
      controlUrl: `http://${this.plan.mediaNodeId}.example:3100`,
      state: this.#isStopping || this.#drain.isOn ? 'draining' : 'serving',
      load: { workerCpu: 0, controlCpu: 0, bandwidth: 0, packets: 0 },
      peerCount: this.rooms.peerCount,
      maxPeers: settings.maxPeers,
      recentJoins: this.rooms.recentJoins,
      isUnreached: this.#reach.isUnreached,
      isSurelyUnreached: this.#reach.isSurelyUnreached,
      reportedAtMs: net.time.wallMs(),
    };
  }
}

function addressesOf({ host }: SimulatedMediaNodePlan): MediaAddresses {
  return [{ family: 'ipv4', listenIp: host, announced: host }];
}

const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** The placement that a request concerns, or `undefined` if it concerns none. */
function placedOf(name: string, payload: unknown): PlacedPeer | undefined {
  if (!(name in CONTROL_REQUESTS) || name.startsWith('pipe.')) return undefined;
  const parsed = PLACED_PEER.safeParse(payload);
  return parsed.success ? parsed.data : undefined;
}
