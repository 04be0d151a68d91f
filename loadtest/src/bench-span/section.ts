/** The parts of `bench:span`: each section measures one thing and names its goals. */
import type { SpanOptions } from './options.ts';

/** A figure that a section compares with the project's goal. */
export interface SpanAim {
  readonly what: string;
  readonly unit: string;
  readonly aim: number;
  /** Whether values above or below the goal are better. */
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
  /** Notes that explain the table. */
  readonly notes: readonly string[];
  readonly table: SpanTable;
  readonly aims: readonly SpanAim[];
  /** Plain data for the JSON file. */
  readonly figures: unknown;
}

export interface SpanSection {
  /** The section's name for `--only`. */
  readonly name: string;
  run(options: SpanOptions, progress: (line: string) => void): Promise<SpanResult>;
}

export function isReached({ aim, better, measured }: SpanAim): boolean {
  if (measured === null) return false;
  return better === 'more' ? measured >= aim : measured <= aim;
}
