import type { Logger } from 'pino';
import { z } from 'zod';

/** The kind of a record in the store; a closed set, since it is a metric's label. */
export type MalformedKind =
  'placement' | 'roster' | 'track' | 'event' | 'chat' | 'entry' | 'meta' | 'room' | 'registry';

/**
 * Reports a record in the store that is skipped because it does not parse (SPEC ST3). The detail is built only when it
 * is logged: for thousands of records it would cost more than all other work.
 */
export type ReportMalformed = (kind: MalformedKind, detail: () => string) => void;

/**
 * Logs the first malformed record of each kind, since the same one is read again and again. All of them reach the
 * listeners.
 */
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

  /** @returns the function that unsubscribes */
  onRecord(listener: (kind: MalformedKind) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The result of `read`; `undefined`, and reported, if the record does not parse. */
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

/** The values that parse; reports the others. */
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
