import type { MachineInfo } from '../bench-join/machine.ts';
import { figure, formatTable } from '../table.ts';
import { isReached } from './section.ts';
import type { SpanAim, SpanResult } from './section.ts';

/** The results of one run, as the JSON file has them. */
export interface SpanReport {
  readonly takenAt: string;
  readonly machine: MachineInfo;
  /** By the section's name. */
  readonly sections: Readonly<Record<string, SpanResult>>;
}

/** The whole report as text. */
export function formatSpanReport({ machine, sections }: SpanReport): string {
  return [
    `Machine: ${machine.cores} × ${machine.model}, Linux ${machine.kernel}, Node ${machine.node}`,
    `Load average before the run: ${figure(machine.loadBefore)}`,
    ...Object.values(sections).flatMap((result) => ['', ...formatSection(result)]),
  ].join('\n');
}

function formatSection({ title, notes, table, aims }: SpanResult): string[] {
  return [
    `## ${title}`,
    ...notes,
    '',
    formatTable(table.header, table.rows),
    ...(aims.length === 0 ? [] : ['', 'Aims:', ...aims.map(formatAim)]),
  ];
}

function formatAim(aim: SpanAim): string {
  const sign = aim.better === 'more' ? '≥' : '≤';
  const verdict = isReached(aim) ? 'reached' : 'missed';
  const measured = aim.measured === null ? 'not measured' : `${figure(aim.measured)} ${aim.unit}, ${verdict}`;
  return `  ${aim.what} ${sign} ${aim.aim} ${aim.unit}: ${measured}`;
}

/** The report as data, without the parts that only people read. */
export function spanReportData({ takenAt, machine, sections }: SpanReport): unknown {
  const data: Record<string, unknown> = {};
  for (const [name, { aims, figures }] of Object.entries(sections))
    data[name] = { figures, aims: aims.map((aim) => ({ ...aim, reached: isReached(aim) })) };
  return { takenAt, machine, sections: data };
}
