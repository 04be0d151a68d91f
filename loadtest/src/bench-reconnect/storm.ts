import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsOf } from '../bench-join/process-cpu.ts';
import { byLabel, difference, fetchMetrics } from '../bench-join/prometheus.ts';
import { redisCommandCalls } from '../bench-join/redis-commands.ts';
import { percentilesOf, type Percentiles } from '../bench-join/statistics.ts';
import { ReconnectingCrowd } from './reconnecting-crowd.ts';
import type { CrowdReport } from './crowd-messages.ts';
import { nowMs } from './member.ts';
import { Newcomers } from './newcomers.ts';
import type { StormOptions } from './options.ts';
import { forgetPeak, memoryOf } from './process-memory.ts';

/** How many joins each process has pending at a time before the storm. */
const CONCURRENCY = 8;
/** People who are not back after this time count as lost, in milliseconds. */
const BACK_WITHIN_MS = 120_000;
const POLL_MS = 200;
/** How many edges stop one after the other in a flap. */
const FLAPS = 3;

/** A process's usage between the fault and the last person's return. */
export interface ProcessUse {
  readonly id: string;
  /** CPU time divided by the duration, so that 100 is one core. */
  readonly cpuPercent: number;
  readonly cpuSeconds: number;
  readonly memoryBeforeMb: number;
  readonly memoryPeakMb: number;
}

export interface StormResult {
  readonly how: StormOptions['how'];
  readonly clients: number;
  readonly edges: number;
  /** The error codes of joins that failed before the storm. */
  readonly neverIn: readonly string[];
  /** How many sockets were lost; in a flap some people lose theirs more than once. */
  readonly socketsLost: number;
  /** People who are not in the room with the same peer. */
  readonly lost: number;
  readonly joinedAnew: number;
  readonly failures: readonly string[];
  /** From the lost socket to the resumed session. */
  readonly resumeMs: Percentiles | null;
  /** From the fault to the last person's return. */
  readonly overAfterMs: number;
  readonly mediaReopened: number;
  readonly malformed: number;
  readonly timedOut: number;
  readonly incomplete: number;
  readonly newcomers: {
    readonly served: number;
    readonly failures: readonly string[];
    readonly joinMs: Percentiles | null;
  };
  /** How many sessions each edge has afterwards. */
  readonly sessionsByEdge: Readonly<Record<string, number>>;
  /** Resumes by result, over all edges that survived the storm. */
  readonly resumesByResult: Readonly<Record<string, number>>;
  readonly refusedConnections: Readonly<Record<string, number>>;
  readonly redisCommandsPerResume: Readonly<Record<string, number>>;
  readonly processes: readonly ProcessUse[];
  /** The CPU time of all processes for each lost socket: the cost of the storm, however busy the machine was. */
  readonly cpuMsPerResume: number;
  readonly joinSeconds: number;
}

interface Watched {
  readonly id: string;
  readonly pid: number;
  readonly cpuBefore: number;
  readonly memoryBeforeMb: number;
}

/** Fills one edge with people, stops it, and measures how they return. */
export async function runStorm(
  cluster: LocalCluster,
  options: Omit<StormOptions, 'json'>,
  progress: (line: string) => void,
): Promise<StormResult> {
  const { clients, how, roomSize } = options;
  const [victim, ...others] = cluster.edges;
  if (victim === undefined) throw new Error('The cluster has no edge.');
  const credentials = { apiKey: cluster.apiKey, apiSecret: cluster.apiSecret };
  const crowd = ReconnectingCrowd.start(options.processes);
  try {
    progress(`${clients} people join`);
    const joiningSince = performance.now();
    const neverIn = await crowd.join({
      ...credentials,
      edgeUrls: [victim.publicUrl],
      count: clients,
      roomSize,
      concurrency: CONCURRENCY,
    });
    const joinSeconds = (performance.now() - joiningSince) / 1_000;
    const present = clients - neverIn.length;

    const survivors = how === 'flap' ? [] : others;
    const watched = [...survivors, ...cluster.mediaNodes, ...(cluster.redis === null ? [] : [cluster.redis])]
      .flatMap(({ id, pid }) => (pid === null ? [] : [{ id, pid }]))
      .concat(crowd.pids.map((pid, index) => ({ id: `people-${index + 1}`, pid })))
      .map(watch);
    const before = await readCounters(survivors);
    const redisBefore = await redisCommandCalls(cluster.redisUrl);
    const newcomers = new Newcomers({
      credentials,
      edgeUrls: others.map(({ publicUrl }) => publicUrl),
      perSecond: options.joins,
    });
    newcomers.start();
    progress(`${how} of ${victim.id}`);
    const struckAtMs = nowMs();
    const mending = strike(cluster, how);
    const isOver = await waitUntilBack(crowd, present);
    const tookMs = nowMs() - struckAtMs;
    const processes = watched.map((process) => useOf(process, tookMs));
    const redisAfter = await redisCommandCalls(cluster.redisUrl);
    await mending;
    if (how === 'flap') await waitUntilBack(crowd, present);
    progress(isOver ? 'all are back' : 'some are not back');
    const newcomersResult = await newcomers.finish();
    const after = await readCounters(survivors);
    const total = combine(await crowd.reports());
    const resumed = total.gaps.flatMap(({ lostAtMs, backAtMs }) =>
      backAtMs === undefined ? [] : [backAtMs - lostAtMs],
    );
    const lastBackMs = Math.max(struckAtMs, ...total.gaps.map(({ backAtMs }) => backAtMs ?? 0));
    return {
      how,
      clients,
      edges: options.edges,
      neverIn,
      socketsLost: total.gaps.length,
      lost: present - total.same,
      joinedAnew: total.joinedAnew,
      failures: total.failures,
      resumeMs: percentilesOf(resumed),
      overAfterMs: lastBackMs - struckAtMs,
      mediaReopened: total.mediaReopened,
      malformed: total.malformed,
      timedOut: total.timedOut,
      incomplete: total.incomplete,
      newcomers: {
        served: newcomersResult.servedMs.length,
        failures: newcomersResult.failures,
        joinMs: percentilesOf(newcomersResult.servedMs),
      },
      sessionsByEdge: await sessionsByEdge(cluster),
      resumesByResult: Object.fromEntries(difference(before.resumes, after.resumes)),
      refusedConnections: Object.fromEntries(difference(before.refused, after.refused)),
      redisCommandsPerResume: Object.fromEntries(
        [...difference(redisBefore, redisAfter)].map(([name, calls]) => [
          name,
          calls / Math.max(1, total.gaps.length),
        ]),
      ),
      processes,
      cpuMsPerResume:
        (1_000 * processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)) /
        Math.max(1, total.gaps.length),
      joinSeconds,
    };
  } finally {
    await crowd.end();
  }
}

/** @returns when all edges run again that are to be restarted */
async function strike(cluster: LocalCluster, how: StormOptions['how']): Promise<void> {
  const [victim, ...others] = cluster.edges;
  if (victim === undefined) return;
  if (how === 'kill') return victim.kill('SIGKILL');
  if (how === 'restart') return victim.restart();
  for (const edge of [victim, ...others].slice(0, FLAPS)) {
    await edge.kill('SIGKILL');
    await edge.restart();
  }
}

/** @returns whether everybody has either returned or failed permanently */
async function waitUntilBack(crowd: ReconnectingCrowd, present: number): Promise<boolean> {
  const deadlineMs = performance.now() + BACK_WITHIN_MS;
  for (;;) {
    const { joined, failed, lost } = await crowd.count();
    // Nobody has noticed the edge's death yet: the storm has not begun.
    if (lost >= present && joined + failed >= present) return true;
    if (performance.now() > deadlineMs) return false;
    await sleep(POLL_MS);
  }
}

function watch({ id, pid }: { readonly id: string; readonly pid: number }): Watched {
  forgetPeak(pid);
  return { id, pid, cpuBefore: cpuSecondsOf(pid), memoryBeforeMb: memoryOf(pid).now };
}

function useOf({ id, pid, cpuBefore, memoryBeforeMb }: Watched, tookMs: number): ProcessUse {
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
  const cpuPercent = (100_000 * cpuSeconds) / tookMs;
  return { id, cpuPercent, cpuSeconds, memoryBeforeMb, memoryPeakMb: memoryOf(pid).peak };
}

async function readCounters(edges: readonly { readonly operatorUrl: string }[]) {
  const texts = await Promise.all(edges.map(({ operatorUrl }) => fetchMetrics(operatorUrl)));
  const sum = (name: string, label: string): ReadonlyMap<string, number> => {
    const total = new Map<string, number>();
    for (const text of texts) {
      for (const [key, value] of byLabel(text, name, label)) total.set(key, (total.get(key) ?? 0) + value);
    }
    return total;
  };
  return {
    resumes: sum('plenary_edge_resumes_total', 'result'),
    refused: sum('plenary_edge_refused_connections_total', 'reason'),
  };
}

async function sessionsByEdge(cluster: LocalCluster): Promise<Record<string, number>> {
  const alive = cluster.edges.filter(({ pid }) => pid !== null);
  const counts = await Promise.all(
    alive.map(async ({ id, operatorUrl }): Promise<[string, number]> => {
      const sessions = byLabel(await fetchMetrics(operatorUrl), 'plenary_edge_sessions', 'state');
      return [id, sessions.get('open') ?? 0];
    }),
  );
  return Object.fromEntries(counts);
}

function combine(reports: readonly CrowdReport[]): CrowdReport {
  const sum = (value: (report: CrowdReport) => number): number =>
    reports.reduce((total, report) => total + value(report), 0);
  return {
    gaps: reports.flatMap(({ gaps }) => gaps),
    failures: reports.flatMap(({ failures }) => failures),
    same: sum(({ same }) => same),
    joinedAnew: sum(({ joinedAnew }) => joinedAnew),
    trying: sum(({ trying }) => trying),
    mediaReopened: sum(({ mediaReopened }) => mediaReopened),
    malformed: sum(({ malformed }) => malformed),
    timedOut: sum(({ timedOut }) => timedOut),
    incomplete: sum(({ incomplete }) => incomplete),
  };
}
