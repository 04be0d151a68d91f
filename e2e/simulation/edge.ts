import { deriveKey, Drain, KeyRing, PlenaryError, silentLogger } from '@plenary/cluster';
import type { DatacenterId, EdgeId, Incarnation, MediaNodeId, RoomId } from '@plenary/cluster';
import type { EdgeNoticeInput, EdgeNoticeName, LoggedEvent, ReplyEnvelope } from '@plenary/cluster/protocol';
import { describe } from '@plenary/cluster/testing/simulation/calls';
import { RuleBroken } from '@plenary/cluster/testing/simulation/rule-broken';
import type { SimulatedStoreClient } from '@plenary/cluster/testing/simulation/store-client';
import type { SimulatedStore } from '@plenary/cluster/testing/simulation/store-server';
import { bear } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Net, Wire } from '@plenary/cluster/testing/simulation/wire';
import { createEdgeMetrics, EdgeCore, EdgeProofs } from '@plenary/edge-signaling/simulation';
import type {
  ClientSocket,
  EdgeMessage,
  RoomChannel,
  SocketListener,
} from '@plenary/edge-signaling/simulation';
import { EdgeWires } from './edge-wires.ts';
import { incarnationOf } from './media-node.ts';
import type { SimulatedMediaNode } from './media-node.ts';
import type { Tokens } from './tokens.ts';

const SECRET = 'a secret of the simulation';

export interface SimulatedEdgePlan {
  readonly edgeId: EdgeId;
  readonly datacenter: DatacenterId;
}

export interface EdgeSettings {
  readonly leaseMs: number;
  readonly resumeWithinMs: number;
  readonly packingLimit: number;
}

/** The parts of the world that an edge reaches. */
export interface EdgeWorld {
  readonly net: Net;
  readonly store: SimulatedStore;
  readonly settings: EdgeSettings;
  readonly tokens: Tokens;
  readonly nodeAt: (mediaNodeId: MediaNodeId, from: EdgeId) => SimulatedMediaNode | undefined;
  readonly edges: () => readonly SimulatedEdge[];
  readonly onBroken: (rule: RuleBroken) => void;
}

/** Receives an edge's notices, on the client's side. */
export type TakeEdgeNotice = (name: string, payload: unknown) => void;

const metrics = createEdgeMetrics();
const logger = silentLogger();

/** One life of an edge: all but its sockets are the real parts. */
export class SimulatedEdge {
  readonly plan: SimulatedEdgePlan;
  readonly life: Life;
  readonly incarnation: Incarnation;
  readonly core: EdgeCore;
  readonly store: SimulatedStoreClient;
  readonly #world: EdgeWorld;
  readonly #sockets = new Map<Wire, WireSocket>();
  readonly #rooms = new Map<RoomId, Set<WireSocket>>();
  /** When the last message to each other edge arrives there, because pub/sub keeps messages in order. */
  readonly #arrivals = new Map<Life, number>();
  readonly #drain: Drain<WireSocket>;
  #links: EdgeWires | undefined;

  constructor(world: EdgeWorld, plan: SimulatedEdgePlan, lifeNumber: number) {
    const { net, tokens } = world;
    const { edgeId, datacenter } = plan;
    this.#world = world;
    this.plan = plan;
    this.life = bear(`${edgeId}.${lifeNumber}`);
    this.incarnation = incarnationOf(lifeNumber);
    this.store = world.store.connect(this.life);
    const caller = { kind: 'edge', id: edgeId, incarnation: this.incarnation } as const;
    this.#drain = new Drain<WireSocket>({
      clock: net.time,
      members: () => this.#clients(),
      isIdle: () => true,
      hasElsewhere: () =>
        this.core.directory.edges.some((edge) => edge.edgeId !== edgeId && edge.state === 'serving'),
      ask: (socket, isRepeated) => {
        if (isRepeated) socket.bye(new PlenaryError('shutting_down'));
        else socket.notify('edge.leaving', {});
      },
      cut: () => {
        for (const socket of this.#clients()) socket.bye(new PlenaryError('shutting_down'));
      },
      changed: () => {
        void this.core.announcer.announce();
        void this.core.directory.refresh();
      },
    });
    this.core = new EdgeCore({
      config: {
        ...world.settings,
        edgeId,
        datacenter,
        publicUrl: `http://${edgeId}.example`,
        operators: {
          host: '127.0.0.1',
          port: 13_000,
          url: undefined,
          adminSecrets: undefined,
          tls: undefined,
          caFile: undefined,
        },
        datacenterOrder: [],
        roomPeersPerNode: 100,
        joinsPerNode: 100,
        maxPeersPerRoom: 100,
        peersPerPerson: 100,
        socketsPerAddress: 2_000,
        guests: undefined,
        tenantLimits: { byTenant: new Map(), others: { maxPeers: 1_000, maxRooms: undefined } },
      },
      tenantMeter: { joined: () => undefined },
      peerIdKey: deriveKey(SECRET, 'peer-id'),
      edgeProofs: new EdgeProofs(KeyRing.derive([SECRET], 'edge-address')),
      store: this.store,
      incarnation: this.incarnation,
      authenticator: tokens,
      signToken: (claims) => Promise.resolve(tokens.ofSession(claims)),
      signRejoinToken: () => Promise.resolve(undefined),
      openLinks: (listener) => {
        this.#links = new EdgeWires({
          net,
          life: this.life,
          caller,
          listener,
          nodeAt: (mediaNodeId) => world.nodeAt(mediaNodeId, edgeId),
          onMalformed: (detail) => {
            world.onBroken(new RuleBroken(`ER2: ${this.life.name} received a malformed notice: ${detail}`));
          },
        });
        return this.#links;
      },
      channel: this.#channel(),
      isDraining: () => this.#drain.isOn,
      clock: net.time,
      logger,
      metrics,
      reportFault: (where, fault) => {
        if (fault instanceof PlenaryError && fault.code !== 'internal') return;
        world.onBroken(
          new RuleBroken(`ER3: ${this.life.name} failed unexpectedly in ${where}: ${String(fault)}`),
        );
      },
    });
  }

  /** Call it as the process. */
  start(): void {
    this.store.onAvailability((available) => {
      if (available) this.core.storeReturned();
    });
    this.core.start();
  }

  /** Asks all clients to move to another edge. Call it as the process. */
  drain(deadlineMs: number): void {
    void this.#drain.begin(deadlineMs);
  }

  /** Accepts clients again. Call it as the process. */
  undrain(): void {
    this.#drain.cancel();
  }

  /** The process ends without notice. */
  kill(): void {
    if (!this.life.alive) return;
    this.life.alive = false;
    this.#drain.stop();
    for (const wire of [...this.#sockets.keys(), ...(this.#links?.wires() ?? [])]) wire.cut();
    this.#world.store.disconnect(this.store);
  }

  /** All open connections to clients and media nodes. */
  wires(): readonly Wire[] {
    return [...this.#sockets.keys(), ...(this.#links?.wires() ?? [])].filter((wire) => !wire.isCut);
  }

  /** Handles a client's connection. @returns whether it is accepted */
  accept(wire: Wire, take: TakeEdgeNotice): boolean {
    if (this.#drain.isOn) {
      wire.close('callee');
      return false;
    }
    const socket = new WireSocket(wire, this.#rooms, take);
    this.#sockets.set(wire, socket);
    socket.listener = this.core.accept(socket);
    return true;
  }

  /** The edge's side of a client's connection has closed. */
  closed(wire: Wire): void {
    const socket = this.#sockets.get(wire);
    this.#sockets.delete(wire);
    socket?.forget();
    socket?.listener?.onClosed('transport close');
  }

  /** Carries out a request of a client. */
  answer(wire: Wire, name: string, payload: unknown): Promise<ReplyEnvelope> {
    const listener = this.#sockets.get(wire)?.listener;
    return new Promise((resolve) => listener?.onMessage({ name, payloads: [payload], acknowledge: resolve }));
  }

  #clients(): WireSocket[] {
    return [...this.#sockets.values()].filter((socket) => socket.isOpen());
  }

  #channel(): RoomChannel {
    const toRoom = (roomId: RoomId, name: EdgeNoticeName, payload: unknown): void => {
      this.#toRoom(roomId, name, payload);
      this.#toOthers(name, (edge) => {
        edge.#toRoom(roomId, name, payload);
      });
    };
    return {
      publishEvents: (roomId, events: readonly LoggedEvent[]) => {
        for (const event of events) {
          this.#toRoom(roomId, 'event', event);
          this.#toOthers('event', (edge) => {
            edge.core.onRoomEvent(roomId, event.event);
            edge.#toRoom(roomId, 'event', event);
          });
        }
      },
      publish: toRoom,
      publishLocally: (roomId, name, payload) => {
        this.#toRoom(roomId, name, payload);
      },
      tellEdges: (message: EdgeMessage) => {
        this.#toOthers('edge.message', (edge) => {
          edge.core.onEdgeMessage(message);
        });
      },
    };
  }

  #toRoom(roomId: RoomId, name: string, payload: unknown): void {
    for (const socket of this.#rooms.get(roomId) ?? []) socket.send(name, payload);
  }

  /** Sends through the store's pub/sub, which may lose or repeat a message. */
  #toOthers(name: string, take: (edge: SimulatedEdge) => void): void {
    const { net, edges } = this.#world;
    const { time, random, weather } = net;
    if (!this.store.isAvailable()) return;
    for (const edge of edges()) {
      if (edge === this || random.chance(weather.pubSubLoss)) continue;
      const copies = random.chance(weather.pubSubLoss) ? 2 : 1;
      for (let copy = 1; copy <= copies; copy += 1) {
        const heldUpMs = random.chance(weather.stall) ? random.between(100, 3_000) : 0;
        const arrivalMs = Math.max(
          this.#arrivals.get(edge.life) ?? 0,
          time.nowMs + random.between(1, 15) + heldUpMs,
        );
        this.#arrivals.set(edge.life, arrivalMs);
        const label = (): string =>
          `${this.life.name} ⇒ ${edge.life.name} ${name}${copy === 1 ? '' : ' (again)'}`;
        time.schedule(arrivalMs - time.nowMs, edge.life, label, () => {
          take(edge);
        });
      }
    }
  }
}

/** A client's socket over a wire. */
class WireSocket implements ClientSocket {
  readonly id = '';
  readonly address = '192.0.2.1';
  listener: SocketListener | undefined;
  readonly #wire: Wire;
  readonly #rooms: Map<RoomId, Set<WireSocket>>;
  readonly #take: TakeEdgeNotice;
  #saidBye = false;

  constructor(wire: Wire, rooms: Map<RoomId, Set<WireSocket>>, take: TakeEdgeNotice) {
    this.#wire = wire;
    this.#rooms = rooms;
    this.#take = take;
  }

  isOpen(): boolean {
    return this.#wire.isOpen('callee') && !this.#saidBye;
  }

  notify<Name extends EdgeNoticeName>(name: Name, payload: EdgeNoticeInput<Name>): void {
    if (this.isOpen()) this.send(name, payload);
  }

  send(name: string, payload: unknown): void {
    this.#wire.send(
      'caller',
      () => `${name} ${describe(payload)}`,
      () => {
        this.#take(name, payload);
      },
    );
  }

  enterRoom(roomId: RoomId): void {
    if (!this.#wire.isOpen('callee')) return;
    const sockets = this.#rooms.get(roomId) ?? new Set();
    sockets.add(this);
    this.#rooms.set(roomId, sockets);
  }

  leaveRoom(roomId: RoomId): void {
    const sockets = this.#rooms.get(roomId);
    sockets?.delete(this);
    if (sockets?.size === 0) this.#rooms.delete(roomId);
  }

  bye(error: PlenaryError): void {
    if (!this.isOpen()) return;
    this.send('bye', error.toWire());
    this.#saidBye = true;
    this.#wire.close('callee');
  }

  noteJoined(): void {
    // The real server closes idle sockets; the simulation has none.
  }

  noteLeft(): void {
    // See `noteJoined`.
  }

  payFramesFrom(): void {
    // See `noteJoined`.
  }

  /** Removes a closed connection from all rooms. */
  forget(): void {
    for (const roomId of [...this.#rooms.keys()]) this.leaveRoom(roomId);
  }
}
