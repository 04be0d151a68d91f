import { figure, formatTable } from '../table.ts';
import type { BotsResult, ByProcess } from './bots-phase.ts';
import type { BrowserResult } from './browser-phase.ts';
import type { MachineInfo } from './machine.ts';
import type { Summary } from './statistics.ts';

/** The results of one run, as the JSON file has them. */
export interface BenchReport {
  readonly takenAt: string;
  readonly machine: MachineInfo;
  readonly bots: BotsResult | null;
  readonly browser: readonly BrowserResult[];
  readonly aims: readonly Aim[];
}

export interface Aim {
  readonly what: string;
  readonly aimMs: number;
  readonly measuredMs: number | null;
  readonly reached: boolean;
}

/** LiveKit 1.13.5 on a similar machine, from connect to the first shown frame in Chromium on loopback. */
const LIVEKIT = { p50Ms: 786, worstMs: 978 };
const LOOPBACK_P50_MS = 300;
const DISTANT_ROUND_TRIP_MS = 50;
const DISTANT_P50_MS = 600;
const DISTANT_P95_MS = 1_000;

const PROCESSES: readonly { readonly key: keyof ByProcess; readonly name: string }[] = [
  { key: 'edge', name: 'edge' },
  { key: 'mediaNode', name: 'media node (Node process)' },
  { key: 'worker', name: 'mediasoup worker' },
  { key: 'redis', name: 'Redis' },
];

/** Compares the figures with the project's goals. The goals count for a cold start, which includes every step. */
export function judge(browser: readonly BrowserResult[]): Aim[] {
  const aims: Aim[] = [];
  const add = (what: string, aimMs: number, measuredMs: number | undefined): void => {
    aims.push({
      what,
      aimMs,
      measuredMs: measuredMs ?? null,
      reached: measuredMs !== undefined && measuredMs <= aimMs,
    });
  };
  for (const { roundTripMs, start, firstFrame } of browser) {
    if (roundTripMs === 0) add(`loopback, ${start}, p50`, LOOPBACK_P50_MS, firstFrame?.p50);
    if (roundTripMs === DISTANT_ROUND_TRIP_MS) {
      add(`${roundTripMs} ms round trip, ${start}, p50`, DISTANT_P50_MS, firstFrame?.p50);
      add(`${roundTripMs} ms round trip, ${start}, p95`, DISTANT_P95_MS, firstFrame?.p95);
    }
  }
  return aims;
}

/** The whole report as text. */
export function formatReport(report: BenchReport): string {
  const { machine, bots, browser, aims } = report;
  return [
    `Machine: ${machine.cores} × ${machine.model}, Linux ${machine.kernel}, Node ${machine.node}`,
    `mediasoup worker's SRTP: ${machine.workerSrtp}`,
    `Load average before the run: ${figure(machine.loadBefore)}`,
    'Everything runs on these cores together: cluster, bots, Chromium with its encoder and decoder.',
    ...(bots === null ? [] : ['', ...formatBots(bots)]),
    ...(browser.length === 0 ? [] : ['', ...formatBrowser(browser), '', ...formatAims(aims)]),
  ].join('\n');
}

function formatBots(bots: BotsResult): string[] {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([code, count]) => `${count} × ${code}`)
      .join(', ');
  const [errors, refusals] = [list(bots.errors), list(bots.refusals)];
  return [
    `## Headless bots: ${bots.joined} of ${bots.bots} joined ${bots.rooms} rooms, ${bots.gotMedia} got media, ${bots.concurrency} at a time`,
    `${figure(bots.joinsPerSecond)} joins per second (${figure(bots.seconds)} s)`,
    ...(errors === '' ? [] : [`failed: ${errors}`]),
    ...(refusals === '' ? [] : [`refused at first and accepted on a retry: ${refusals}`]),
    ...bots.problems.map((problem) => `problem: ${problem}`),
    '',
    formatTable(
      ['process', 'CPU ms per join', 'joins/s and busy core', 'CPU ms per leave', 'idle, % of a core'],
      PROCESSES.map(({ key, name }) => [
        name,
        figure(bots.cpuMsPerJoin[key]),
        figure(bots.joinsPerBusyCoreSecond[key]),
        figure(bots.cpuMsPerLeave[key]),
        figure(bots.idleCpuPercent[key]),
      ]),
    ),
    `(the bots themselves: ${figure(bots.botsCpuMsPerJoin)} ms per join)`,
    '',
    ...formatCounts('Calls into mediasoup per join', bots.mediasoupCallsPerJoin),
    '',
    ...formatCounts('Redis commands per join, those inside scripts too', bots.redisCommandsPerJoin),
    '',
    'Where the time of a bot goes, ms since it began:',
    formatSteps(Object.entries(bots.steps)),
  ];
}

function formatCounts(title: string, counts: Readonly<Record<string, number>>): string[] {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return [
    `${title}: ${figure(total)}`,
    `  ${Object.entries(counts)
      .filter(([, count]) => count >= 0.01)
      .map(([name, count]) => `${name} ${figure(count)}`)
      .join(', ')}`,
  ];
}

function formatSteps(steps: readonly (readonly [string, Summary | undefined])[]): string {
  return formatTable(
    ['step done', 'p50', 'p95', 'worst'],
    steps.map(([step, summary]) => [
      step,
      figure(summary?.p50),
      figure(summary?.p95),
      figure(summary?.worst),
    ]),
  );
}

function formatBrowser(browser: readonly BrowserResult[]): string[] {
  return [
    '## Chromium: from join() to the first decoded video frame, ms',
    'cold: includes TCP, WebSocket, certificate, join, ICE, DTLS and the key frame',
    'firstAudioSent, firstVideoSent: when the delay proxy sends the first packet to the client',
    'warm: the pre-join page has opened the socket and made the certificate before',
    '',
    formatTable(
      ['path', 'start', 'joins', 'p50', 'p95', 'worst'],
      [
        ...browser.map(({ roundTripMs, start, joins, firstFrame }) => [
          pathName(roundTripMs),
          start,
          String(joins),
          figure(firstFrame?.p50),
          figure(firstFrame?.p95),
          figure(firstFrame?.worst),
        ]),
        ['loopback, LiveKit 1.13.5', 'cold', '12', String(LIVEKIT.p50Ms), '–', String(LIVEKIT.worstMs)],
      ],
    ),
    ...browser.flatMap((result) => [
      '',
      `Where the time goes, ${pathName(result.roundTripMs)}, ${result.start}, ms since join():`,
      formatSteps(Object.entries(result.steps)),
      ...(result.server === null
        ? []
        : [
            `of joinAnswered − joinSent, on average: at the edge ${figure(result.server.joinMs)} ms, ` +
              `of which the media node's admission ${figure(result.server.admitMs)} ms`,
          ]),
      ...result.failures.map((failure) => `failed: ${failure}`),
      ...result.warnings.map((warning) => `warning: ${warning}`),
    ]),
  ];
}

function pathName(roundTripMs: number): string {
  return roundTripMs === 0 ? 'loopback' : `${roundTripMs} ms round trip`;
}

function formatAims(aims: readonly Aim[]): string[] {
  return [
    'Aims:',
    ...aims.map(({ what, aimMs, measuredMs, reached }) => {
      const verdict = reached ? 'reached' : 'missed';
      return `  ${what} ≤ ${aimMs} ms: ${measuredMs === null ? 'not measured' : `${figure(measuredMs)} ms, ${verdict}`}`;
    }),
  ];
}
