import { z } from 'zod';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import { MAX_KNOWN_RECORDS, MAX_RECORDS, ParsingTurns, inOrderOfIds } from '../registry/reading.ts';
import { readable } from './malformed.ts';

/** The most bytes of a record that is read: ours have about six hundred. */
const MAX_RECORD_BYTES = 4_096;
const REPLY = z.tuple([z.number(), z.number()]).rest(OPAQUE_TEXT);

/** The arguments of the script that lists records: how many, how long, which first, and from where. */
interface Asked {
  readonly most: string;
  readonly longest: string;
  readonly known: string;
  readonly from: string;
}

/**
 * Reads the live records of one kind. Anybody who can write into the registry can write any number of any size. So
 * number and length are bounded by the store, records are parsed a few per turn of the event loop, unchanged ones are
 * not parsed again, and known ones are read first (SPEC EN13, EN42).
 */
export class RecordReader<Schema extends z.ZodType> {
  readonly #schema: Schema;
  readonly #idOf: (record: z.output<Schema>) => string;
  readonly #onMalformed: (detail: () => string) => void;
  /** The last reading, by text; `undefined` is an unreadable record. */
  #last: ReadonlyMap<string, z.output<Schema> | undefined> = new Map();
  #from = 0;

  constructor(
    schema: Schema,
    idOf: (record: z.output<Schema>) => string,
    onMalformed: (detail: () => string) => void,
  ) {
    this.#schema = schema;
    this.#idOf = idOf;
    this.#onMalformed = onMalformed;
  }

  /** @returns the records in the order of their ids */
  async read(list: (asked: Asked) => Promise<unknown>): Promise<readonly z.output<Schema>[]> {
    const read = new Set(
      [...this.#last.values()].flatMap((record) => (record === undefined ? [] : [this.#idOf(record)])),
    );
    // Records come in the order of the request: the ones known longest first.
    const known = [...read].slice(0, MAX_KNOWN_RECORDS);
    const reply = await list({
      most: String(MAX_RECORDS),
      longest: String(MAX_RECORD_BYTES),
      known: known.join(','),
      from: String(this.#from),
    });
    const [unreadable, beyond, ...texts] = REPLY.parse(reply);
    // Those that did not fit in come in a later reading.
    this.#from = beyond > 0 ? this.#from + MAX_RECORDS - known.length : 0;
    for (let told = 0; told < Math.min(unreadable, MAX_RECORDS); told += 1)
      this.#onMalformed(() => `${unreadable} entries are no records`);
    if (beyond > 0) this.#onMalformed(() => `there are ${beyond} more records than are read at a time`);
    this.#last = await this.#parse(texts);
    const byId = new Map<string, z.output<Schema>>();
    for (const record of this.#last.values()) {
      // One under another id's name is a forgery; what stands under its own name comes first once it is known.
      if (record !== undefined && !byId.has(this.#idOf(record))) byId.set(this.#idOf(record), record);
    }
    return inOrderOfIds(byId);
  }

  async #parse(texts: readonly string[]): Promise<ReadonlyMap<string, z.output<Schema> | undefined>> {
    const read = new Map<string, z.output<Schema> | undefined>();
    const turns = new ParsingTurns();
    for (const text of texts) {
      if (this.#last.has(text)) {
        const record = this.#last.get(text);
        if (record === undefined) this.#onMalformed(() => 'as before');
        read.set(text, record);
        continue;
      }
      read.set(
        text,
        readable(
          (_kind, detail) => this.#onMalformed(detail),
          'registry',
          () => this.#schema.parse(JSON.parse(text)),
        ),
      );
      await turns.next();
    }
    return read;
  }
}
