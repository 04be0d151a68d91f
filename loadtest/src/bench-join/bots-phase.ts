import { PlenaryError } from '@plenary/cluster/errors';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import type { Bot, BotTimings } from '../bots/bot.ts';
import { joinCluster } from '../bots/join-cluster.ts';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { cpuSecondsOf } from './process-cpu.ts';
import { byLabel, difference, fetchMetrics } from './prometheus.ts';
import { redisCommandCalls } from './redis-commands.ts';
import { summarise } from './statistics.ts';
import type { Summary } from './statistics.ts';

/** The publishing bots send few packets, so that the benchmark measures joins and not forwarding. */
const PUBLISH_INTERVAL_MS = 500;
const MEDIA_TIMEOUT_MS = 60_000;
/** How long the idle cluster is measured, to subtract what it does without any join, in milliseconds. */
const IDLE_MS = 2_000;

export interface BotsPhaseOptions {
  readonly bots: number;
  readonly roomSize: number;
  readonly concurrency: number;
}

/** One value for each process, such as its CPU time in seconds. */
export interface ByProcess {
  readonly edge: number;
  readonly mediaNode: number;
  readonly worker: number;
  readonly redis: number;
}

export interface BotsResult {
  readonly bots: number;
  readonly rooms: number;
  readonly concurrency: number;
  readonly joined: number;
  /** Joins that failed, by error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Temporary refusals by error code: the bot retried and joined. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Joined bots that received their first packet. */
  readonly gotMedia: number;
  /** RTP packets that all measured bots received by the end. */
  readonly packets: number;
  readonly problems: readonly string[];
  readonly seconds: number;
  readonly joinsPerSecond: number;
  readonly cpuMsPerJoin: ByProcess;
  /** Joins per second that one core can do which this process keeps busy. */
  readonly joinsPerBusyCoreSecond: ByProcess;
  /** CPU before the joins, in percent of one core. */
  readonly idleCpuPercent: ByProcess;
  readonly botsCpuMsPerJoin: number;
  readonly mediasoupCallsPerJoin: Readonly<Record<string, number>>;
  readonly redisCommandsPerJoin: Readonly<Record<string, number>>;
  readonly steps: Readonly<Record<keyof BotTimings, Summary | undefined>>;
  readonly cpuMsPerLeave: ByProcess;
}

interface Reading {
  readonly atMs: number;
  readonly cpu: ByProcess;
  readonly botsCpu: number;
  readonly mediasoup: ReadonlyMap<string, number>;
  readonly redis: ReadonlyMap<string, number>;
}

/**
 * Has bots join rooms in which one bot already publishes audio and video. A join is complete when the bot received its
 * first media packet, so it includes Socket.IO, join, both transports, two consumers, ICE, DTLS and SRTP.
 */
export async function runBotsPhase(cluster: LocalCluster, options: BotsPhaseOptions): Promise<BotsResult> {
  const perRoom = options.roomSize - 1;
  const rooms = Math.ceil(options.bots / perRoom);
  const publishers: Bot[] = [];
  const joined: Bot[] = [];
  const errors = new Map<string, number>();
  let gotMedia = 0;
  try {
    for (let room = 0; room < rooms; room += 1) publishers.push(await joinPublisher(cluster, roomName(room)));
    const idleFrom = await read(cluster);
    await sleep(IDLE_MS);
    const idleTo = await read(cluster);

    let next = 0;
    const joinOneAfterAnother = async (): Promise<void> => {
      while (next < options.bots) {
        const index = next;
        next += 1;
        try {
          const bot = await joinRoom(cluster, roomName(Math.floor(index / perRoom)), `bot-${index}`, true);
          joined.push(bot);
          await bot.mediaArrived(MEDIA_TIMEOUT_MS);
          gotMedia += 1;
        } catch (error) {
          const code = error instanceof PlenaryError ? error.code : 'no_media';
          errors.set(code, (errors.get(code) ?? 0) + 1);
        }
      }
    };
    const before = await read(cluster);
    await Promise.all(Array.from({ length: options.concurrency }, joinOneAfterAnother));
    const after = await read(cluster);

    const timings = joined.map((bot) => bot.timings);
    const packets = joined.flatMap((bot) => bot.received).reduce((sum, stream) => sum + stream.packets, 0);
    const problems = [...publishers, ...joined].flatMap((bot) => bot.problems);
    await leaveAll(joined);
    const left = await read(cluster);

    const count = Math.max(1, joined.length);
    const seconds = (after.atMs - before.atMs) / 1_000;
    const cpu = mapProcesses((name) => after.cpu[name] - before.cpu[name]);
    return {
      bots: options.bots,
      rooms,
      concurrency: options.concurrency,
      joined: joined.length,
      errors: Object.fromEntries(errors),
      refusals: countEach(joined.flatMap((bot) => bot.refusals)),
      gotMedia,
      packets,
      problems: [...new Set(problems)],
      seconds,
      joinsPerSecond: joined.length / seconds,
      cpuMsPerJoin: mapProcesses((name) => (cpu[name] * 1_000) / count),
      joinsPerBusyCoreSecond: mapProcesses((name) => (cpu[name] === 0 ? 0 : count / cpu[name])),
      idleCpuPercent: mapProcesses(
        (name) => ((idleTo.cpu[name] - idleFrom.cpu[name]) * 100_000) / (idleTo.atMs - idleFrom.atMs),
      ),
      botsCpuMsPerJoin: ((after.botsCpu - before.botsCpu) * 1_000) / count,
      mediasoupCallsPerJoin: perJoin(difference(before.mediasoup, after.mediasoup), count),
      redisCommandsPerJoin: perJoin(difference(before.redis, after.redis), count),
      steps: {
        socketOpen: summariseStep(timings, 'socketOpen'),
        joinAnswered: summariseStep(timings, 'joinAnswered'),
        iceConnected: summariseStep(timings, 'iceConnected'),
        dtlsConnected: summariseStep(timings, 'dtlsConnected'),
        firstPacket: summariseStep(timings, 'firstPacket'),
      },
      cpuMsPerLeave: mapProcesses((name) => ((left.cpu[name] - after.cpu[name]) * 1_000) / count),
    };
  } finally {
    await leaveAll([...joined, ...publishers]);
  }
}

function countEach(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function roomName(index: number): string {
  return `bench-bots-${index}`;
}

function joinRoom(cluster: LocalCluster, roomId: string, name: string, canPublish: boolean): Promise<Bot> {
  return joinCluster(cluster, { roomId, name, canPublish, subscribes: false });
}

async function joinPublisher(cluster: LocalCluster, roomId: string): Promise<Bot> {
  const bot = await joinRoom(cluster, roomId, `publisher-${roomId}`, true);
  await bot.publish('audio', { intervalMs: PUBLISH_INTERVAL_MS });
  await bot.publish('video', { intervalMs: PUBLISH_INTERVAL_MS });
  return bot;
}

async function leaveAll(bots: readonly Bot[]): Promise<void> {
  await Promise.all(bots.map((bot) => bot.leave()));
}

async function read(cluster: LocalCluster): Promise<Reading> {
  const [edge] = cluster.edges;
  const [mediaNode] = cluster.mediaNodes;
  const pids = { edge: edge?.pid, mediaNode: mediaNode?.pid, redis: cluster.redis?.pid };
  if (mediaNode === undefined || pids.edge == null || pids.mediaNode == null || pids.redis == null) {
    throw new Error('the benchmark needs an edge, a media node and a Redis of its own, all running');
  }
  const [metrics, redis] = await Promise.all([
    fetchMetrics(mediaNode.operatorUrl),
    redisCommandCalls(cluster.redisUrl),
  ]);
  const workers = childrenOf(pids.mediaNode);
  const own = process.cpuUsage();
  return {
    atMs: performance.now(),
    cpu: {
      edge: cpuSecondsOf(pids.edge),
      mediaNode: cpuSecondsOf(pids.mediaNode),
      worker: workers.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
      redis: cpuSecondsOf(pids.redis),
    },
    botsCpu: (own.user + own.system) / 1e6,
    mediasoup: byLabel(metrics, 'plenary_mediasoup_calls_total', 'method'),
    redis,
  };
}

function mapProcesses(value: (name: keyof ByProcess) => number): ByProcess {
  return {
    edge: value('edge'),
    mediaNode: value('mediaNode'),
    worker: value('worker'),
    redis: value('redis'),
  };
}

function perJoin(counts: ReadonlyMap<string, number>, joins: number): Record<string, number> {
  return Object.fromEntries(
    [...counts].sort(([, left], [, right]) => right - left).map(([name, count]) => [name, count / joins]),
  );
}

function summariseStep(timings: readonly BotTimings[], step: keyof BotTimings): Summary | undefined {
  return summarise(timings.map((timing) => timing[step]).filter((value) => value !== undefined));
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
