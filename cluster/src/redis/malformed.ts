import type { Logger } from 'pino';
import { z } from 'zod';

/** What a record in the store is of; a closed set, since it is a metric's label. */
export type MalformedKind =
  'placement' | 'roster' | 'track' | 'event' | 'chat' | 'entry' | 'meta' | 'room' | 'registry';

/**
 * Told of a record in the store that is skipped, since it does not parse (SPEC ST3). What is wrong with it is put in words
 * only where that is said: of thousands it would cost more than all other work.
 */
export type ReportMalformed = (kind: MalformedKind, detail: () => string) => void;

/** Logs the first malformed record of each kind: the same one is met again and again. All of them reach the listeners. */
export class MalformedRecords {
  readonly #logger: Logger;
  readonly #said = new Set<MalformedKind>();
  readonly #listeners = new Set<(kind: MalformedKind) => void>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  readonly report: ReportMalformed = (kind, detail) => {
    for (const listener of this.#listeners) listener(kind);
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    this.#logger.error(
      { record: kind, detail: detail() },
      'skipped a malformed record in the store; further ones are only counted',
    );
  };

  /** @returns the function that ends it */
  onRecord(listener: (kind: MalformedKind) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** What `read` gives; `undefined`, and reported, where it does not parse. */
export function readable<Value>(
  report: ReportMalformed,
  kind: MalformedKind,
  read: () => Value,
): Value | undefined {
  try {
    return read();
  } catch (fault) {
    if (fault instanceof z.ZodError) report(kind, () => z.prettifyError(fault));
    else if (fault instanceof SyntaxError) report(kind, () => fault.message);
    else throw fault;
    return undefined;
  }
}

/** Those of several values that can be read. */
export function readableOnes<Raw, Value>(
  report: ReportMalformed,
  kind: MalformedKind,
  raws: readonly Raw[],
  read: (raw: Raw) => Value,
): Value[] {
  return raws.flatMap((raw) => {
    const value = readable(report, kind, () => read(raw));
    return value === undefined ? [] : [value];
  });
}
