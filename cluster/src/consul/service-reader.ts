import { z } from 'zod';
import { MAX_KNOWN_RECORDS, MAX_RECORDS, ParsingTurns, inOrderOfIds } from '../registry/reading.ts';
import type { ServiceInstance } from './consul-client.ts';
import { isLive } from './services.ts';

/** The result of parsing one instance's metadata. */
type Found<Parsed> = { readonly record: Parsed } | { readonly fault: string };

interface Live {
  readonly instance: ServiceInstance;
  /** The metadata as text. */
  readonly text: string;
}

/**
 * Reads records of one kind from Consul's services. Anybody with the right to register services can register any
 * number. So the reader parses a bounded number, some in each turn of the event loop, none again while its metadata
 * stay the same, and known records first (SPEC EN13, EN40).
 */
export class ServiceReader<Schema extends z.ZodType> {
  readonly #schema: Schema;
  readonly #idOf: (record: z.output<Schema>) => string;
  readonly #onUnreadable: (detail: string, about: string) => void;
  /** The last results, by the text that was parsed. */
  #last: ReadonlyMap<string, Found<z.output<Schema>>> = new Map();
  #from = 0;

  constructor(
    schema: Schema,
    idOf: (record: z.output<Schema>) => string,
    onUnreadable: (detail: string, about: string) => void,
  ) {
    this.#schema = schema;
    this.#idOf = idOf;
    this.#onUnreadable = onUnreadable;
  }

  /** @returns the records of living processes, in the order of ids; of two with one id the later one */
  async read(instances: readonly ServiceInstance[]): Promise<z.output<Schema>[]> {
    const live = instances
      .filter(isLive)
      .map((instance) => ({ instance, text: JSON.stringify(instance.meta) }));
    const wanted = this.#choose(live).sort(
      (left, right) => left.instance.createIndex - right.instance.createIndex,
    );
    const read = new Map<string, Found<z.output<Schema>>>();
    const records = new Map<string, z.output<Schema>>();
    const turns = new ParsingTurns();
    for (const { instance, text } of wanted) {
      let found = this.#last.get(text);
      if (found === undefined) {
        found = this.#parse(instance);
        await turns.next();
      }
      read.set(text, found);
      if ('record' in found) records.set(this.#idOf(found.record), found.record);
      else this.#onUnreadable(found.fault, instance.id);
    }
    this.#last = read;
    return inOrderOfIds(records);
  }

  /** Chooses the known records, those registered first before others, and then as many other instances as fit, in turn. */
  #choose(live: readonly Live[]): Live[] {
    if (live.length <= MAX_RECORDS) return [...live];
    const known = live
      .filter(({ text }) => 'record' in (this.#last.get(text) ?? {}))
      .sort((left, right) => left.instance.createIndex - right.instance.createIndex)
      .slice(0, MAX_KNOWN_RECORDS);
    const chosen = new Set(known);
    const others = live.filter((item) => !chosen.has(item));
    const from = others.length === 0 ? 0 : this.#from % others.length;
    const room = MAX_RECORDS - known.length;
    this.#from = from + room;
    return [...known, ...[...others.slice(from), ...others.slice(0, from)].slice(0, room)];
  }

  #parse({ meta }: ServiceInstance): Found<z.output<Schema>> {
    const parsed = this.#schema.safeParse(meta);
    return parsed.success ? { record: parsed.data } : { fault: z.prettifyError(parsed.error) };
  }
}
