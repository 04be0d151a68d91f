import type { MachineInfo } from '../bench-join/machine.ts';
import { figure, formatTable } from '../table.ts';
import type { Percentiles } from '../bench-join/statistics.ts';
import type { StormResult } from './storm.ts';

/** The results of one run, as the JSON has them. */
export interface StormReport {
  readonly takenAt: string;
  readonly machine: Pick<MachineInfo, 'cores' | 'model' | 'kernel' | 'node' | 'loadBefore'>;
  /** The load average of the last minute, right after the storm and including it. */
  readonly loadAfter: number;
  readonly result: StormResult;
  readonly aims: readonly StormAim[];
}

export interface StormAim {
  readonly what: string;
  readonly aim: string;
  readonly measured: string;
  readonly reached: boolean;
}

const P95_AIM_MS = 5_000;

/** The published figures for Socket.IO: 6 s, and 3.8% never come back. */
export function judgeStorm({ lost, resumeMs, newcomers }: StormResult): StormAim[] {
  const p95 = resumeMs?.p95;
  return [
    { what: 'people lost', aim: '0', measured: String(lost), reached: lost === 0 },
    {
      what: 'resume, p95',
      aim: `≤ ${P95_AIM_MS} ms`,
      measured: `${figure(p95)} ms`,
      reached: p95 !== undefined && p95 <= P95_AIM_MS,
    },
    {
      what: 'joins refused meanwhile',
      aim: '0',
      measured: String(newcomers.failures.length),
      reached: newcomers.failures.length === 0,
    },
  ];
}

/** The whole report as text. */
export function formatStormReport({ machine, loadAfter, result, aims }: StormReport): string {
  const { clients, how, edges, lost, newcomers } = result;
  const seconds = (milliseconds: number): string => `${figure(milliseconds / 1_000)} s`;
  return [
    `Machine: ${machine.cores} × ${machine.model}, Linux ${machine.kernel}, Node ${machine.node}`,
    `Load average before the run: ${figure(machine.loadBefore)}, after the storm: ${figure(loadAfter)}`,
    'Everything runs on these cores together: edges, media node, Redis and the people.',
    '',
    `## ${clients} people on one of ${edges} edges: ${how}`,
    `${result.socketsLost} sockets lost; ${lost} people lost, ${result.joinedAnew} of them back by a new join`,
    `over after ${seconds(result.overAfterMs)}; joined before in ${figure(result.joinSeconds)} s`,
    ...listed('joins that failed before the storm', result.neverIn),
    ...listed('out for good', result.failures),
    ...listed('newcomers refused', newcomers.failures),
    `media sessions reopened: ${result.mediaReopened}, malformed messages: ${result.malformed}, ` +
      `requests without an answer: ${result.timedOut}, incomplete rosters: ${result.incomplete}`,
    '',
    formatTable(
      ['ms', 'count', 'p50', 'p95', 'p99', 'worst'],
      [
        ['resume', String(result.socketsLost), ...spreadCells(result.resumeMs)],
        ['joins served meanwhile', String(newcomers.served), ...spreadCells(newcomers.joinMs)],
      ],
    ),
    '',
    formatTable(
      ['from the fault to the last return', 'CPU, % of a core', 'CPU s', 'MB before', 'MB at the most'],
      result.processes.map(({ id, cpuPercent, cpuSeconds, memoryBeforeMb, memoryPeakMb }) => [
        id,
        figure(cpuPercent),
        figure(cpuSeconds),
        figure(memoryBeforeMb),
        figure(memoryPeakMb),
      ]),
    ),
    `all of them together: ${figure(result.cpuMsPerResume)} ms of CPU for each resume`,
    '',
    `sessions now: ${counts(result.sessionsByEdge)}`,
    `resumes: ${counts(result.resumesByResult)}; connections refused: ${counts(result.refusedConnections)}`,
    `Redis commands per resume, those inside scripts, of joins and of the background too: ` +
      counts(result.redisCommandsPerResume),
    '',
    'Aims:',
    ...aims.map(
      ({ what, aim, measured, reached }) =>
        `  ${what} ${aim}: ${measured}, ${reached ? 'reached' : 'missed'}`,
    ),
  ].join('\n');
}

function spreadCells(spread: Percentiles | null): string[] {
  return [spread?.p50, spread?.p95, spread?.p99, spread?.worst].map(figure);
}

function counts(values: Readonly<Record<string, number>>): string {
  const entries = Object.entries(values).filter(([, value]) => value >= 0.01);
  return entries.length === 0
    ? 'none'
    : entries.map(([name, value]) => `${name} ${figure(value)}`).join(', ');
}

function listed(what: string, codes: readonly string[]): string[] {
  if (codes.length === 0) return [];
  const byCode = [...Map.groupBy(codes, (code) => code)];
  return [`${what}: ${byCode.map(([code, all]) => `${all.length} × ${code}`).join(', ')}`];
}
