import { waitFor } from '@plenary/cluster/testing/wait-for';
import { setTimeout as delay } from 'node:timers/promises';
import { whyNoDatacenters } from '@plenary/deploy/local-cluster';
import type { Bot } from '../bots/bot.ts';
import { NO_IMPAIRMENT } from '../impairment/index.ts';
import { SpanningCluster } from '../spanning/spanning-cluster.ts';
import { figure } from '../table.ts';
import type { SpanOptions } from './options.ts';
import type { SpanResult, SpanSection } from './section.ts';
import { spreadOf } from './spread.ts';
import type { Spread } from './spread.ts';
import { CAMERA } from './two-nodes.ts';

const ONE_WAY_MS = 10;
const FIRST_MEDIA_AIM_MS = { p50: 150, p99: 400 };
const QUIET_AIM_MS = 2_000;
/** How often a link's counters are read, in milliseconds. */
const READ_INTERVAL_MS = 20;
/** A link is quiet if less than a packet of the track crosses it in this time, in milliseconds. */
const QUIET_FOR_MS = 1_500;
const STARTED_PACKETS = 50;
/** Far beyond what it takes, in milliseconds: it only ends what would hang. */
const CONNECTED_WITHIN_MS = 60_000;

const KINDS = ['audio', 'video'] as const;
const WAYS_OUT = ['pauses', 'unsubscribes', 'leaves'] as const;
type Kind = (typeof KINDS)[number];
type WayOut = (typeof WAYS_OUT)[number];

export interface LinksFigures {
  readonly oneWayMs: number;
  /** Milliseconds from `subscribe` to the first packet over a pipe that did not exist. */
  readonly firstMedia: Readonly<Record<Kind, Spread | null>>;
  /** Milliseconds from the last viewer's action to the track's last byte on the link. */
  readonly quiet: Readonly<Record<WayOut, Spread | null>>;
}

export interface LinksRounds {
  readonly firstMedia: number;
  readonly quiet: number;
}

/** Measures between two datacenters that are {@link ONE_WAY_MS} apart. Requires network namespaces. */
export async function measureLinks(
  rounds: LinksRounds,
  progress: (line: string) => void,
): Promise<LinksFigures> {
  const spanning = await SpanningCluster.start({
    datacenters: [
      { name: 'gra', mediaNodes: 1 },
      { name: 'sbg', mediaNodes: 1 },
    ],
    env: { PLENARY_LOG_LEVEL: 'warn' },
    distance: { impairment: { ...NO_IMPAIRMENT, delayMs: ONE_WAY_MS }, seed: 1 },
  });
  try {
    const firstMedia: Record<Kind, number[]> = { audio: [], video: [] };
    const quiet: Record<WayOut, number[]> = { pauses: [], unsubscribes: [], leaves: [] };
    progress(`first media over a new pipe, ${ONE_WAY_MS} ms one way`);
    for (let round = 0; round < rounds.firstMedia; round += 1)
      for (const kind of KINDS)
        firstMedia[kind].push(await timeToFirstMedia(spanning, `first-${kind}-${round}`, kind));
    progress('quiet on the link after the last viewer');
    for (let round = 0; round < rounds.quiet; round += 1)
      for (const wayOut of WAYS_OUT)
        quiet[wayOut].push(await timeToQuiet(spanning, `quiet-${wayOut}-${round}`, wayOut));
    return {
      oneWayMs: ONE_WAY_MS,
      firstMedia: { audio: spreadOf(firstMedia.audio), video: spreadOf(firstMedia.video) },
      quiet: {
        pauses: spreadOf(quiet.pauses),
        unsubscribes: spreadOf(quiet.unsubscribes),
        leaves: spreadOf(quiet.leaves),
      },
    };
  } finally {
    await spanning.everybodyLeaves();
    await spanning.stop();
  }
}

/** Uses a new room each time, with a new pipe, a new gateway and, the first time, a new control link. */
async function timeToFirstMedia(spanning: SpanningCluster, roomId: string, kind: Kind): Promise<number> {
  const first = Promise.withResolvers<number>();
  const viewer = await spanning.join(roomId, 'sbg', {
    subscribes: false,
    onPacket: () => first.resolve(performance.now()),
  });
  const publisher = await spanning.join(roomId, 'gra', { canPublish: true, subscribes: false });
  const trackId = await publisher.publish(kind, kind === 'video' ? CAMERA : {});
  await viewer.mediaArrived(CONNECTED_WITHIN_MS);
  const askedMs = performance.now();
  await viewer.subscribe([trackId]);
  const arrivedMs = await first.promise;
  await spanning.everybodyLeaves();
  return arrivedMs - askedMs;
}

async function timeToQuiet(spanning: SpanningCluster, roomId: string, wayOut: WayOut): Promise<number> {
  const publisher = await spanning.join(roomId, 'gra', { canPublish: true, subscribes: false });
  const trackId = await publisher.publish('video', CAMERA);
  const viewer = await spanning.join(roomId, 'sbg');
  await waitFor('media', () => (viewer.received[0]?.packets ?? 0) >= STARTED_PACKETS);
  const goneMs = performance.now();
  const going = goAway(viewer, trackId, wayOut);
  const lastMs = await lastMediaOn(spanning);
  await going;
  await spanning.everybodyLeaves();
  return Math.max(0, lastMs - goneMs);
}

function goAway(viewer: Bot, trackId: Awaited<ReturnType<Bot['publish']>>, wayOut: WayOut): Promise<void> {
  switch (wayOut) {
    case 'pauses':
      return viewer.setPaused([trackId], true);
    case 'unsubscribes':
      return viewer.unsubscribe([trackId]);
    case 'leaves':
      return viewer.leave();
  }
}

/** When the link last carried a packet as large as the track's, as of the first reading after it. */
async function lastMediaOn(spanning: SpanningCluster): Promise<number> {
  const look = async () => (await spanning.datacenters.sent('gra', 'sbg')).bytes;
  let lastMs = performance.now();
  let before = await look();
  while (performance.now() - lastMs < QUIET_FOR_MS) {
    await delay(READ_INTERVAL_MS);
    const now = await look();
    if (now - before >= CAMERA.payloadBytes) lastMs = performance.now();
    before = now;
  }
  return lastMs;
}

export function describeLinks({ oneWayMs, firstMedia, quiet }: LinksFigures): SpanResult {
  const row = (name: string, spread: Spread | null): string[] => [
    name,
    ...[spread?.p50, spread?.p95, spread?.p99, spread?.worst].map(figure),
    String(spread?.count ?? 0),
  ];
  const firstMediaAim = (of: 'p50' | 'p99') => ({
    what: `${of} from subscribe to the first packet of video`,
    unit: 'ms',
    aim: FIRST_MEDIA_AIM_MS[of],
    better: 'less' as const,
    measured: firstMedia.video?.[of] ?? null,
  });
  const slowest = WAYS_OUT.map((wayOut) => quiet[wayOut]?.worst ?? null);
  return {
    title: `Between two datacenters, ${oneWayMs} ms one way`,
    notes: [
      'Network namespaces; media and the nodes’ control link go the distance, Redis and the viewer’s edge are near.',
      'First media: from subscribe to the first packet, each in a room of its own, so over a new pipe. Video begins with a key',
      'frame that is asked for across the distance.',
      'Quiet: from what the last viewer does until the track’s last byte on the link. The pipe is then open for its linger',
      '(1.5 s), and reported on (RTCP, some 100 bytes a second); while somebody holds the track paused it stays open.',
    ],
    table: {
      header: ['time', 'p50 ms', 'p95 ms', 'p99 ms', 'worst ms', 'rounds'],
      rows: [
        ...KINDS.map((kind) => row(`first media, ${kind}`, firstMedia[kind])),
        ...WAYS_OUT.map((wayOut) => row(`quiet after the viewer ${wayOut}`, quiet[wayOut])),
      ],
    },
    aims: [
      firstMediaAim('p50'),
      firstMediaAim('p99'),
      {
        what: 'quiet after the last viewer, worst',
        unit: 'ms',
        aim: QUIET_AIM_MS,
        better: 'less',
        measured: slowest.some((worst) => worst === null)
          ? null
          : Math.max(...slowest.map((worst) => worst ?? 0)),
      },
    ],
    figures: { oneWayMs, firstMedia, quiet },
  };
}

/** The section on datacenters: how soon media crosses, and how soon it stops. */
export const linksSection: SpanSection = {
  name: 'links',
  async run({ seconds }: SpanOptions, progress): Promise<SpanResult> {
    const fault = await whyNoDatacenters();
    if (fault !== undefined) {
      progress(`links skipped: ${fault}`);
      const nothing = describeLinks({
        oneWayMs: ONE_WAY_MS,
        firstMedia: { audio: null, video: null },
        quiet: { pauses: null, unsubscribes: null, leaves: null },
      });
      return { ...nothing, notes: [`Not measured: ${fault}`] };
    }
    const rounds = { firstMedia: Math.ceil(seconds * 10), quiet: Math.ceil(seconds) };
    return describeLinks(await measureLinks(rounds, progress));
  },
};
