import { PlacerProcess } from '@plenary/cluster/testing/placer-process';
import type { LoadPlan, LoadResult } from '@plenary/cluster/testing/placer-process';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { percentile } from '../bench-join/statistics.ts';
import { figure } from '../table.ts';
import type { SpanOptions } from './options.ts';
import type { SpanResult, SpanSection } from './section.ts';

const AIM_PER_SECOND = 5_000;
const AIM_P99_MS = 5;
const WARM_UP_MS = 500;
/** How many people a room of the benchmark has; the cost of reading a room depends on its size. */
const PEERS_PER_ROOM = 20;

/** A load: how placements are requested. */
export interface PlacementLoad {
  readonly name: string;
  /** Each is a process with one connection to Redis, as an edge is. */
  readonly processes: number;
  /** The number of pending placements of each process. */
  readonly inFlight: number;
  /** The rate of all processes together, evenly spaced; absent: as fast as they are answered. */
  readonly perSecond?: number;
  /** Whether each placement first reads the room, as an edge does for the ladder. */
  readonly readsRoom: boolean;
}

export interface PlacementFigures extends PlacementLoad {
  readonly placements: number;
  readonly failed: number;
  readonly placedPerSecond: number;
  /** From the moment a placement was due to its answer, in milliseconds. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly worstMs: number | null;
}

const LOADS: readonly PlacementLoad[] = [
  { name: 'as fast as they are answered', processes: 1, inFlight: 16, readsRoom: false },
  { name: 'as fast as they are answered', processes: 2, inFlight: 16, readsRoom: false },
  { name: 'as fast as they are answered', processes: 2, inFlight: 8, readsRoom: true },
  {
    name: '5,000 a second, evenly',
    processes: 2,
    inFlight: 1_000,
    perSecond: AIM_PER_SECOND,
    readsRoom: false,
  },
  {
    name: '5,000 a second, evenly',
    processes: 2,
    inFlight: 1_000,
    perSecond: AIM_PER_SECOND,
    readsRoom: true,
  },
];

/** Measures one load, on a Redis of its own. */
export async function measurePlacements(load: PlacementLoad, durationMs: number): Promise<PlacementFigures> {
  const redis = await startRedisServer();
  const placers: PlacerProcess[] = [];
  try {
    for (let index = 0; index < load.processes; index += 1)
      placers.push(await PlacerProcess.start(redis.address));
    const run = async (phase: string, phaseMs: number): Promise<LoadResult[]> =>
      Promise.all(
        placers.map(async (placer, index) => placer.load(planOf(load, `${phase}-${index}`, phaseMs))),
      );
    await run('warm', WARM_UP_MS);
    return figuresOf(load, await run('edge', durationMs));
  } finally {
    for (const placer of placers) await placer.stop();
    await redis.stop();
  }
}

function planOf(load: PlacementLoad, name: string, durationMs: number): LoadPlan {
  const { inFlight, readsRoom, processes, perSecond } = load;
  const pace = perSecond === undefined ? {} : { perSecond: perSecond / processes };
  return { name, peersPerRoom: PEERS_PER_ROOM, durationMs, inFlight, readsRoom, ...pace };
}

/** Sums up the simultaneous measurements of the processes. */
export function figuresOf(load: PlacementLoad, results: readonly LoadResult[]): PlacementFigures {
  const latencies = results.flatMap(({ latenciesMs }) => latenciesMs).sort((left, right) => left - right);
  const perSecond = results.map(({ latenciesMs, tookMs }) => (latenciesMs.length * 1_000) / tookMs);
  return {
    ...load,
    placements: latencies.length,
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
    placedPerSecond: perSecond.reduce((sum, rate) => sum + rate, 0),
    p50Ms: percentile(latencies, 0.5) ?? null,
    p99Ms: percentile(latencies, 0.99) ?? null,
    worstMs: latencies.at(-1) ?? null,
  };
}

/** The section on placements: their rate and latency on this machine's own Redis. */
export const placementsSection: SpanSection = {
  name: 'placements',
  async run({ seconds }: SpanOptions, progress): Promise<SpanResult> {
    const measured: PlacementFigures[] = [];
    for (const load of LOADS) {
      progress(`placements, ${load.name}, ${load.processes} processes`);
      measured.push(await measurePlacements(load, seconds * 1_000));
    }
    return describePlacements(measured);
  },
};

export function describePlacements(measured: readonly PlacementFigures[]): SpanResult {
  const fastest = Math.max(0, ...measured.map(({ placedPerSecond }) => placedPerSecond));
  const paced = measured.filter(({ perSecond, readsRoom }) => perSecond !== undefined && !readsRoom);
  return {
    title: 'Placements on a Redis of this machine',
    notes: [
      `Each process has one connection, as an edge has. Rooms of ${PEERS_PER_ROOM}; each placement is a new peer.`,
      '“reads the room” counts both round trips that an edge makes: reading the room, then placing.',
      'Latency counts from the moment when a placement was due. Redis and the processes share the cores.',
    ],
    table: {
      header: ['load', 'processes', 'reads the room', 'placed/s', 'p50 ms', 'p99 ms', 'worst ms', 'failed'],
      rows: measured.map((row) => [
        row.perSecond === undefined ? `${row.name}, ${row.inFlight} in flight` : row.name,
        String(row.processes),
        row.readsRoom ? 'yes' : 'no',
        figure(row.placedPerSecond),
        figure(row.p50Ms ?? undefined),
        figure(row.p99Ms ?? undefined),
        figure(row.worstMs ?? undefined),
        String(row.failed),
      ]),
    },
    aims: [
      {
        what: 'placements',
        unit: 'per second',
        aim: AIM_PER_SECOND,
        better: 'more',
        measured: measured.length === 0 ? null : fastest,
      },
      {
        what: 'p99 of a placement at 5,000 a second',
        unit: 'ms',
        aim: AIM_P99_MS,
        better: 'less',
        measured: paced[0]?.p99Ms ?? null,
      },
    ],
    figures: measured,
  };
}
