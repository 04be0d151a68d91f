/** Every schema of a string that is made, wherever it is kept: also those that a module shows to nobody. */
import { z } from 'zod';
import type { NamedSchema } from './schema-walk.ts';

type Zod = typeof z;
type AnyFunction = (...parameters: readonly unknown[]) => unknown;

const THIS_FILE = import.meta.filename;
const NOT_OURS = ['/node_modules/', 'node:', THIS_FILE];
/** Makes schemas for others: what counts is for whom. */
const HELPERS = '/cluster/src/protocol/text.ts';

/** Makes schemas as zod does and remembers those of strings, each as it was at last: `z.string().max(5)` is one and not two. */
export class RecordedStrings {
  readonly #found = new Map<z.core.$ZodType, string>();

  /** Those of the modules that were loaded until now, by the file and the line that made them. */
  get schemas(): readonly NamedSchema[] {
    return [...this.#found].map(([schema, name]) => ({ name, schema }));
  }

  /** To be given to modules in place of zod's. */
  recording(zod: Zod): Zod {
    return new Proxy(zod, {
      get: (target, key): unknown => {
        const made: unknown = Reflect.get(target, key);
        return isFunction(made) && isMaker(key) ? this.#noting(made) : made;
      },
    });
  }

  #noting(make: AnyFunction): AnyFunction {
    return (...parameters) => {
      const made = make(...parameters);
      if (isString(made)) this.#note(made);
      return made;
    };
  }

  #note(schema: z.core.$ZodType): void {
    this.#found.set(schema, callerOf());
    const clone: unknown = Reflect.get(schema, 'clone');
    if (!isFunction(clone)) return;
    const noting = (...parameters: readonly unknown[]): unknown => {
      const derived: unknown = Reflect.apply(clone, schema, parameters);
      if (isString(derived)) {
        this.#found.delete(schema);
        this.#note(derived);
      }
      return derived;
    };
    Object.defineProperty(schema, 'clone', { value: noting, configurable: true });
  }
}

const isFunction = (value: unknown): value is AnyFunction => typeof value === 'function';

/** Classes begin with a capital, and are none. */
const isMaker = (key: string | symbol): boolean => typeof key === 'string' && /^[a-z]/.test(key);

const isString = (value: unknown): value is z.core.$ZodType =>
  value instanceof z.core.$ZodString || value instanceof z.core.$ZodStringFormat;

/** @returns a path and a line */
function callerOf(): string {
  const places = (new Error('here').stack ?? '')
    .split('\n')
    .filter((line) => NOT_OURS.every((part) => !line.includes(part)))
    .flatMap((line) => /(\/[^\s()]+:\d+):\d+\)?$/.exec(line)?.[1] ?? []);
  return places.find((place) => !place.includes(HELPERS)) ?? places.at(-1) ?? '';
}
