/** The parts of `bench:span`: each section measures one thing and names its goals. */
import type { SpanOptions } from './options.ts';

/** A figure that a section compares with the project's goal. */
export interface SpanAim {
  readonly what: string;
  readonly unit: string;
  readonly aim: number;
  /** Whether more than the aim is better, or less. */
  readonly better: 'more' | 'less';
  readonly measured: number | null;
}

export interface SpanTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A section's results: a table for people, figures for programs. */
export interface SpanResult {
  readonly title: string;
  /** What one has to know to read the table. */
  readonly notes: readonly string[];
  readonly table: SpanTable;
  readonly aims: readonly SpanAim[];
  /** Plain data, as it is written to the JSON. */
  readonly figures: unknown;
}

export interface SpanSection {
  /** As `--only` names it. */
  readonly name: string;
  run(options: SpanOptions, progress: (line: string) => void): Promise<SpanResult>;
}

export function isReached({ aim, better, measured }: SpanAim): boolean {
  if (measured === null) return false;
  return better === 'more' ? measured >= aim : measured <= aim;
}
