import { formatTable } from '@plenary/loadtest/pages';
import type { Fault, Goal } from '../fault.ts';
import type { LastRun, RowFigures } from './figures.ts';

type Spread = NonNullable<RowFigures['noticed']>['picture'];

const seconds = (ms: number): string => (ms === 0 ? '0' : (ms / 1_000).toFixed(2));
const spread = (of: Spread | undefined): string =>
  of === undefined ? '–' : `${seconds(of.p50)} / ${seconds(of.p99)}`;
const goal = (of: Goal | undefined): string => (of === undefined ? '–' : spread(of));

function cellsOf({ goals }: Fault, figures: RowFigures | undefined): string[] {
  return [
    spread(figures?.noticed?.picture),
    spread(figures?.noticed?.sound),
    goal(goals.media),
    spread(figures?.noticed?.buttons),
    goal(goals.buttons),
  ];
}

/** Formats a table for a terminal. */
export function formatReport(faults: readonly Fault[], rows: LastRun['rows']): string {
  const measured = faults.filter(({ name }) => rows[name] !== undefined);
  const table = formatTable(
    ['seconds, p50 / p99', 'picture', 'sound', 'goal', 'buttons', 'goal', 'calm: picture', 'failed'],
    measured.map((fault) => {
      const figures = rows[fault.name];
      return [
        fault.name,
        ...cellsOf(fault, figures),
        spread(figures?.calm?.picture),
        figures === undefined ? '–' : `${figures.failed} of ${figures.runs}`,
      ];
    }),
  );
  return `${table}\n\nThe longest time that anybody was without a decoded frame, without sound, or without an answer to a pressed button.`;
}

export const DOCS_BEGIN = '<!-- The fault table: written by `npm run bench:faults -- --docs`. -->';
export const DOCS_END = '<!-- The end of the fault table. -->';

/** The generated part of `docs/failure-modes.md`, without its markers. */
export function formatDocs(faults: readonly Fault[], { takenAt, machine, rows }: LastRun): string {
  const header = [
    'fault',
    'what a person notices',
    'what an operator sees',
    'picture',
    'sound',
    'goal',
    'buttons',
    'goal',
    'picture before',
    'runs',
  ];
  const lines = faults.map((fault) => {
    const figures = rows[fault.name];
    const runs =
      figures === undefined
        ? '–'
        : figures.failed === 0
          ? String(figures.runs)
          : `${figures.runs}, ${figures.failed} failed`;
    return [
      fault.name,
      fault.person,
      fault.operator,
      ...cellsOf(fault, figures),
      spread(figures?.calm?.picture),
      runs,
    ];
  });
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    row(header),
    row(header.map(() => '---')),
    ...lines.map(row),
    '',
    `Last run ${takenAt.slice(0, 10)}, on ${machine}.`,
  ].join('\n');
}

/** @throws Error if the document has no such part */
export function replacePart(document: string, part: string): string {
  const [begin, end] = [document.indexOf(DOCS_BEGIN), document.indexOf(DOCS_END)];
  if (begin < 0 || end < begin) throw new Error('The document has no markers of the fault table.');
  return `${document.slice(0, begin + DOCS_BEGIN.length)}\n\n${part}\n\n${document.slice(end)}`;
}
