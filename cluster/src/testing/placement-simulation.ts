/**
 * Joins on a cluster in virtual time: several edges, each with its own reading of the registry, and nodes that report a
 * noisy load now and then. Everything follows from the seed.
 */
import { RecentPlacements } from '../placement/recent-placements.ts';
import { JOIN_INTERVAL_MS } from '../placement/recent-placements.ts';
import { selectNode } from '../placement/select-node.ts';
import type { PlacementLimits, PlacementReason } from '../placement/select-node.ts';
import type { MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord } from '../registry/registry.ts';
import { datacenter, mediaNodeRecord } from './samples.ts';
import { seededRandom } from './seeded-random.ts';

export interface BurstShape {
  readonly seed: number;
  readonly nodes: number;
  readonly edges: number;
  readonly joins: number;
  /** The joins are spread over this much time, at random. */
  readonly withinMs: number;
  readonly limits: PlacementLimits;
}

export interface BurstOutcome {
  readonly peersByNode: readonly number[];
  readonly reasons: ReadonlyMap<PlacementReason | 'no_node_alive' | 'all_nodes_full', number>;
}

/** How often an edge reads the registry, in milliseconds. */
const READ_MS = 1_000;
/** From the placement until the node hosts the peer, in milliseconds. */
const ADMISSION_MS = 150;
/** What a peer really costs, from a second after it came. */
const LOAD_PER_PEER = 0.01;
/** A report is off by up to this, either way. */
const LOAD_NOISE = 0.02;
const LOAD_WINDOW_MS = 1_000;

interface Event {
  readonly atMs: number;
  readonly happen: () => void;
}

class Node {
  record: MediaNodeRecord;
  readonly admittedAtMs: number[] = [];
  readonly #random: () => number;

  constructor(name: string, random: () => number) {
    this.record = mediaNodeRecord(name);
    this.#random = random;
  }

  report(nowMs: number): void {
    const hosted = this.admittedAtMs.filter((atMs) => atMs <= nowMs);
    const measured = hosted.filter((atMs) => atMs <= nowMs - LOAD_WINDOW_MS).length * LOAD_PER_PEER;
    const noise = (this.#random() * 2 - 1) * LOAD_NOISE;
    this.record = {
      ...this.record,
      load: { ...this.record.load, workerCpu: Math.max(0, measured + noise) },
      peerCount: hosted.length,
      recentJoins: hosted.filter((atMs) => atMs > nowMs - JOIN_INTERVAL_MS).length,
      reportedAtMs: Math.round(nowMs) + 1,
    };
  }
}

class Edge {
  readonly #recent = new RecentPlacements();
  readonly #random: () => number;
  readonly #limits: PlacementLimits;
  #records: readonly MediaNodeRecord[] = [];

  constructor(limits: PlacementLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  read(nodes: readonly Node[], nowMs: number): void {
    this.#records = nodes.map((node) => node.record);
    this.#recent.onRead(this.#records, nowMs);
  }

  place(nowMs: number) {
    const choice = selectNode({
      nodes: this.#records,
      // A meeting of its own for each: within one, packing keeps people together on purpose.
      room: { peerCount: 0, peersByNode: new Map<MediaNodeId, number>() },
      datacenters: [datacenter('gra')],
      inFlight: this.#recent.inFlight(),
      joins: this.#recent.joins(nowMs),
      limits: this.#limits,
      random: this.#random,
    });
    if (choice.mediaNodeId !== null) this.#recent.note(choice.mediaNodeId, nowMs);
    return choice;
  }
}

/** Runs one burst to its end. */
export function simulateBurst(shape: BurstShape): BurstOutcome {
  const random = seededRandom(shape.seed);
  const nodes = Array.from({ length: shape.nodes }, (_, index) => new Node(`node-${index}`, random));
  const edges = Array.from({ length: shape.edges }, () => new Edge(shape.limits, random));
  const reasons = new Map<PlacementReason | 'no_node_alive' | 'all_nodes_full', number>();
  const events: Event[] = [];
  // Everybody has reported and read once before the first join, each at its own time from then on.
  const startMs = 2_000;
  const endMs = startMs + shape.withinMs;
  for (const node of nodes) {
    for (let atMs = random() * 1_000; atMs < endMs; atMs += 1_000 + random() * 1_000) {
      const reportedAtMs = atMs;
      events.push({ atMs, happen: () => node.report(reportedAtMs) });
    }
  }
  for (const edge of edges) {
    for (let atMs = 1_000 + random() * READ_MS; atMs < endMs; atMs += READ_MS) {
      const readAtMs = atMs;
      events.push({ atMs, happen: () => edge.read(nodes, readAtMs) });
    }
  }
  for (let count = 0; count < shape.joins; count += 1) {
    const atMs = startMs + random() * shape.withinMs;
    const edge = edges[Math.floor(random() * edges.length)];
    const happen = (): void => {
      if (edge === undefined) return;
      const { mediaNodeId, reason } = edge.place(atMs);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      nodes.find((node) => node.record.mediaNodeId === mediaNodeId)?.admittedAtMs.push(atMs + ADMISSION_MS);
    };
    events.push({ atMs, happen });
  }
  events.sort((left, right) => left.atMs - right.atMs);
  for (const event of events) event.happen();
  return { peersByNode: nodes.map((node) => node.admittedAtMs.length), reasons };
}
