import { slicesOverlap } from '@plenary/cluster';
import type { EdgeId, MediaNodeId, PortSlice } from '@plenary/cluster';
import type { TrackSource } from '@plenary/cluster/protocol';
import { TRACK_SOURCE } from '@plenary/cluster/protocol';
import type { Random } from '@plenary/cluster/testing/simulation/random';
import type { RuleBroken } from '@plenary/cluster/testing/simulation/rule-broken';
import { SimulatedStore } from '@plenary/cluster/testing/simulation/store-server';
import type { StoreParts } from '@plenary/cluster/testing/simulation/store-server';
import type { Life, VirtualTime } from '@plenary/cluster/testing/simulation/virtual-time';
import { CALM, STORM } from '@plenary/cluster/testing/simulation/wire';
import type { Net, Wire } from '@plenary/cluster/testing/simulation/wire';
import { SimulatedClient } from './client.ts';
import type { ClientPlan } from './client.ts';
import { SimulatedEdge } from './edge.ts';
import type { SimulatedEdgePlan } from './edge.ts';
import { Ether } from './engine/host.ts';
import { SimulatedMediaNode } from './media-node.ts';
import type { BrokenParts, SimulatedMediaNodePlan } from './media-node.ts';
import type { SimulatedFault, Plan } from './plan.ts';
import type { Scene } from './checks.ts';
import { Tokens } from './tokens.ts';

export interface SimulatedWorldOptions {
  readonly plan: Plan;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly storeParts: StoreParts;
  readonly broken: BrokenParts;
  /** Writes a line to the trace. */
  readonly trace: (line: () => string) => void;
}

/** A process that could not start is started again after this time, in milliseconds. */
const RESTART_MS = 2_000;

/** All processes of one run, and the faults that befall them. */
export class SimulatedWorld implements Scene {
  readonly net: Net;
  readonly store: SimulatedStore;
  readonly ether = new Ether();
  /** The first rule that broke. Most rules break inside a process, whose exceptions nobody would catch. */
  broken: RuleBroken | undefined;
  /** When the last fault began or ended, in virtual milliseconds. */
  lastFaultAtMs = 0;
  readonly #options: SimulatedWorldOptions;
  readonly #tokens = new Tokens();
  readonly #nodes = new Map<MediaNodeId, SimulatedMediaNode>();
  readonly #edges = new Map<EdgeId, SimulatedEdge>();
  readonly #clients: SimulatedClient[] = [];
  readonly #unreachable = new Set<string>();
  #lives = 0;
  #clientNumber = 0;

  constructor(options: SimulatedWorldOptions) {
    this.#options = options;
    this.net = { time: options.time, random: options.random, weather: { ...CALM } };
    this.store = new SimulatedStore(this.net, options.storeParts, this.onBroken);
  }

  get roomIds(): Scene['roomIds'] {
    return this.#options.plan.roomIds;
  }

  get nodes(): readonly SimulatedMediaNode[] {
    return [...this.#nodes.values()].filter((node) => node.life.alive);
  }

  get edges(): readonly SimulatedEdge[] {
    return [...this.#edges.values()].filter((edge) => edge.life.alive);
  }

  get clients(): readonly SimulatedClient[] {
    return this.#clients.filter((client) => client.life.alive);
  }

  readonly onBroken = (rule: RuleBroken): void => {
    this.broken ??= rule;
  };

  startProcesses(): void {
    const { plan } = this.#options;
    for (const node of plan.nodes) this.#startNode(node);
    for (const edge of plan.edges) this.#startEdge(edge);
  }

  setWeather(isStormy: boolean): void {
    Object.assign(this.net.weather, isStormy ? STORM : CALM);
  }

  /** A new person joins. */
  addPerson(plan: ClientPlan): void {
    this.#clientNumber += 1;
    const name = `${plan.name}-${this.#clientNumber}`;
    const { net, ether } = this;
    const client = new SimulatedClient(
      {
        net,
        ether,
        tokens: this.#tokens,
        anyEdge: (but) => net.random.pick(this.edges.filter((edge) => edge !== but)),
      },
      { ...plan, name },
    );
    this.#clients.push(client);
    this.#runIn(
      client,
      () => `${name} comes to ${plan.roomId}`,
      () => {
        client.start();
      },
    );
  }

  /** Everybody leaves: most of them orderly, some without notice unless `isPolite`. */
  removeEverybody(isPolite = false): void {
    const { random } = this.net;
    for (const client of this.clients) {
      const vanishes = !isPolite && random.chance(0.3);
      const line = (): string => `${client.plan.name} ${vanishes ? 'vanishes' : 'leaves'}`;
      this.net.time.schedule(random.between(0, 2_000), client.life, line, () => {
        if (vanishes) client.vanish();
        else client.leave();
      });
    }
  }

  /** Has a random person do something, or a new one join. */
  actRandomly(): void {
    const { random } = this.net;
    const { plan } = this.#options;
    const people = this.clients;
    if (people.length < plan.clients.length && random.chance(0.3)) {
      const newcomer = random.pick(plan.clients);
      if (newcomer !== undefined) this.addPerson(newcomer);
      return;
    }
    const client = random.pick(people);
    if (client !== undefined) this.#runIn(client, undefined, () => this.#actRandomlyAs(client));
  }

  #actRandomlyAs(client: SimulatedClient): void {
    const { random } = this.net;
    const source: TrackSource = random.pick(TRACK_SOURCE.options) ?? 'microphone';
    const others = [...(client.room?.tracks.values() ?? [])].filter(({ peerId }) => peerId !== client.peerId);
    const track = random.pick(others);
    const name = client.plan.name;
    const { trace } = this.#options;
    switch (random.between(0, 11)) {
      case 0:
      case 1:
        trace(() => `${name} publishes its ${source}`);
        client.publish(source);
        break;
      case 2:
        trace(() => `${name} ends its ${source}`);
        client.unpublish(source);
        break;
      case 3: {
        const paused = random.chance(0.5);
        trace(() => `${name} ${paused ? 'mutes' : 'unmutes'} its ${source}`);
        client.setPaused(source, paused);
        break;
      }
      case 4:
      case 5:
      case 6: {
        const paused = random.chance(0.4);
        if (track === undefined) break;
        trace(() => `${name} ${paused ? 'pauses' : 'watches'} ${track.trackId}`);
        client.watch(track.trackId, { paused });
        break;
      }
      case 7:
        if (track === undefined) break;
        trace(() => `${name} no longer wants ${track.trackId}`);
        client.unwatch(track.trackId);
        break;
      case 8:
        trace(() => `${name} says something`);
        client.chat();
        break;
      case 9:
        trace(() => `${name} raises a hand`);
        client.raiseHand();
        break;
      case 10:
        trace(() => `${name} lowers a hand`);
        client.lowerHand();
        break;
      default:
        if (random.chance(0.6)) break;
        trace(() => `${name} leaves`);
        client.leave();
    }
  }

  drain(node: SimulatedMediaNode | SimulatedEdge, deadlineMs: number): void {
    this.#runIn(
      node,
      () => `${node.life.name} is drained within ${deadlineMs} ms`,
      () => {
        node.drain(deadlineMs);
      },
    );
  }

  undrain(node: SimulatedMediaNode | SimulatedEdge): void {
    this.#runIn(
      node,
      () => `${node.life.name} serves again`,
      () => {
        node.undrain();
      },
    );
  }

  /** Makes a fault happen. */
  inject(fault: SimulatedFault): void {
    const { random, time } = this.net;
    this.lastFaultAtMs = time.nowMs;
    switch (fault) {
      case 'node dies': {
        const node = random.pick(this.nodes);
        if (node === undefined) return;
        this.#trace(() => `${node.life.name} dies`);
        node.kill();
        this.#later(random.between(200, 8_000), () => this.#startNode(node.plan));
        return;
      }
      case 'node stops': {
        const node = random.pick(this.nodes);
        if (node === undefined) return;
        this.#runIn(
          node,
          () => `${node.life.name} stops`,
          () => void node.stop(),
        );
        this.#later(random.between(8_000, 12_000), () => this.#startNode(node.plan));
        return;
      }
      case 'node is drained': {
        const node = random.pick(this.nodes);
        if (node === undefined) return;
        const deadlineMs = random.between(3_000, 20_000);
        this.drain(node, deadlineMs);
        this.#later(random.between(1_000, 25_000), () => {
          this.undrain(node);
        });
        return;
      }
      case 'edge dies': {
        const edge = random.pick(this.edges);
        if (edge === undefined) return;
        this.#trace(() => `${edge.life.name} dies`);
        edge.kill();
        this.#later(random.between(200, 8_000), () => this.#startEdge(edge.plan));
        return;
      }
      case 'edge is drained': {
        const edge = random.pick(this.edges);
        if (edge === undefined) return;
        this.drain(edge, random.between(3_000, 20_000));
        this.#later(random.between(1_000, 25_000), () => {
          this.undrain(edge);
        });
        return;
      }
      case 'worker dies': {
        const node = random.pick(this.nodes);
        const worker = random.pick(node?.engine.alive() ?? []);
        if (node === undefined || worker === undefined) return;
        this.#runIn(
          node,
          () => `worker ${worker.index} of ${node.life.name} dies`,
          () => {
            node.workerDies(worker.index);
          },
        );
        return;
      }
      case 'client vanishes': {
        const client = random.pick(this.clients);
        this.#trace(() => `${client?.plan.name} vanishes`);
        client?.vanish();
        return;
      }
      case 'connection breaks': {
        const wires: Wire[] = [
          ...this.clients.flatMap(({ wire }) => wire ?? []),
          ...this.edges.flatMap((edge) => edge.wires()),
          ...this.nodes.flatMap((node) => node.wires()),
        ];
        const wire = random.pick(wires);
        if (wire === undefined) return;
        this.#trace(
          () => `${wire.lifeOf('caller').name} and ${wire.lifeOf('callee').name} lose their connection`,
        );
        wire.cut();
        return;
      }
      case 'node is cut off': {
        const node = random.pick(this.nodes);
        if (node === undefined) return;
        const { mediaNodeId } = node.plan;
        this.#trace(() => `${node.life.name} is cut off from everybody`);
        this.#unreachable.add(mediaNodeId);
        for (const wire of node.wires()) wire.cut();
        for (const edge of this.edges)
          for (const wire of edge.wires()) if (wire.lifeOf('callee') === node.life) wire.cut();
        node.store.cutOff(true);
        this.#later(random.between(1_000, 12_000), () => {
          this.#unreachable.delete(mediaNodeId);
          node.store.cutOff(false);
        });
        return;
      }
      case 'store is cut off': {
        const process = random.pick([...this.nodes, ...this.edges]);
        if (process === undefined) return;
        this.#trace(() => `${process.life.name} does not reach the store`);
        process.store.cutOff(true);
        this.#later(random.between(500, 10_000), () => {
          process.store.cutOff(false);
        });
        return;
      }
      case 'process stands still': {
        const process = random.pick([...this.nodes, ...this.edges]);
        if (process === undefined) return;
        const forMs = random.between(200, 6_000);
        this.#trace(() => `${process.life.name} stands still for ${forMs} ms`);
        process.life.standsStillUntilMs = time.nowMs + forMs;
        this.#later(forMs, () => undefined);
        return;
      }
      case 'store goes away': {
        const forMs = random.between(100, 8_000);
        this.#trace(() => `the store goes away for ${forMs} ms`);
        this.store.goAway(forMs, () => {
          this.lastFaultAtMs = time.nowMs;
        });
        return;
      }
      case 'store fails over':
        this.#trace(() => 'the store begins to fail over');
        this.store.failOver(random.between(0, 1_000), random.between(500, 3_000));
        return;
      case 'store is emptied':
        this.#trace(() => 'the store is emptied');
        this.store.flush();
    }
  }

  #startNode(plan: SimulatedMediaNodePlan): void {
    if (this.#nodes.get(plan.mediaNodeId)?.life.alive === true) {
      // The previous process is still stopping.
      this.#later(RESTART_MS, () => this.#startNode(plan));
      return;
    }
    this.#lives += 1;
    const node = new SimulatedMediaNode(
      {
        net: this.net,
        store: this.store,
        ether: this.ether,
        portHolder: this.#portHolder,
        settings: this.#options.plan.nodeSettings,
        broken: this.#options.broken,
        nodeAt: (mediaNodeId) => this.#reach(mediaNodeId, plan.mediaNodeId),
        onRefused: () => this.#later(RESTART_MS, () => this.#startNode(plan)),
        onBroken: this.onBroken,
      },
      plan,
      this.#lives,
    );
    this.#nodes.set(plan.mediaNodeId, node);
    this.#runIn(
      node,
      () => `${node.life.name} starts`,
      () => {
        node.start();
      },
    );
  }

  readonly #portHolder = (host: string, slice: PortSlice, self: Life): string | undefined =>
    this.nodes.find(
      ({ life, plan, portSlice }) =>
        life !== self && plan.host === host && portSlice !== undefined && slicesOverlap(portSlice, slice),
    )?.life.name;

  #startEdge(plan: SimulatedEdgePlan): void {
    this.#lives += 1;
    const edge = new SimulatedEdge(
      {
        net: this.net,
        store: this.store,
        settings: this.#options.plan.edgeSettings,
        tokens: this.#tokens,
        nodeAt: (mediaNodeId, from) => this.#reach(mediaNodeId, from),
        edges: () => this.edges,
        onBroken: this.onBroken,
      },
      plan,
      this.#lives,
    );
    this.#edges.set(plan.edgeId, edge);
    this.#runIn(
      edge,
      () => `${edge.life.name} starts`,
      () => {
        edge.start();
      },
    );
  }

  #reach(mediaNodeId: MediaNodeId, from: string): SimulatedMediaNode | undefined {
    if (this.#unreachable.has(mediaNodeId) || this.#unreachable.has(from)) return undefined;
    const node = this.#nodes.get(mediaNodeId);
    return node?.life.alive === true ? node : undefined;
  }

  /** Runs an action inside a process, as an event of its own. */
  #runIn(
    process: { readonly life: SimulatedClient['life'] },
    line: (() => string) | undefined,
    action: () => void,
  ): void {
    this.net.time.schedule(0, process.life, line, action);
  }

  /** Ends a fault after a delay. */
  #later(delayMs: number, action: () => void): void {
    const { time } = this.net;
    time.schedule(delayMs, undefined, undefined, () => {
      this.lastFaultAtMs = time.nowMs;
      action();
    });
  }

  #trace(line: () => string): void {
    this.#options.trace(line);
  }
}
