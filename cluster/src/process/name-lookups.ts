/**
 * Bounds name lookups. Node looks names up on a small number of threads, one lookup each. A name with a silent name
 * server holds one for ten seconds or more, each attempt to connect looks it up again, and every other name, even
 * `localhost`, waits behind them for minutes. So one lost datacenter could keep Redis unreachable.
 */
import dns from 'node:dns';
import type { LookupAddress, LookupAllOptions, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { syncBuiltinESMExports } from 'node:module';
import { promisify } from 'node:util';
import { LRUCache } from 'lru-cache';
import { withDeadline } from '../deadline.ts';
import { forgetOldest } from '../forget-oldest.ts';
import { guardCallback, inBackground } from './guarded-callbacks.ts';
import type { Logger } from './logging.ts';
import { leftOut } from './rare-lines.ts';
import type { RareLines } from './rare-lines.ts';
import { systemTimers } from './timers.ts';

/** The number of lookups at a time: `thread-pool.ts` provides as many threads. */
const AT_A_TIME = 16;
/** The number of them for names that are new or gave no address the last time. */
const UNSURE_AT_A_TIME = 8;
/** The largest number of names that wait: a writer of the registry can name any number. */
const MAX_WAITING = 256;
/** The largest number of remembered names: far more than a cluster has. */
const MAX_KNOWN = 1_024;
/** If a name is not answered for this long, in milliseconds, its last known address is used. */
const LAST_KNOWN_AFTER_MS = 500;

type Addresses = readonly LookupAddress[];
/** Returns every address of a name. */
export type ResolveName = (name: string, options: LookupAllOptions) => Promise<Addresses>;

type Callback = (
  error: NodeJS.ErrnoException | null,
  address?: string | LookupAddress[],
  family?: number,
) => void;

type OwnLookup = (name: string, options: LookupOptions | number | Callback, callback?: Callback) => void;
type PromisedLookup = (
  name: string,
  options?: LookupOptions | number,
) => Promise<LookupAddress | LookupAddress[]>;

interface Lookup {
  readonly key: string;
  readonly isUnsure: boolean;
  readonly start: () => void;
}

export interface NameLookupsOptions {
  readonly resolve: ResolveName;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Limited, because a writer of the registry decides how many names there are. */
  readonly lines: Pick<RareLines, 'say'>;
}

/** Whether a name server has said that the name does not exist. */
const isKnownToBeNone = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOTFOUND';

/** The error if too many names are waiting already. */
function tooMany(name: string): Error {
  return Object.assign(new Error(`getaddrinfo EAI_AGAIN ${name}: too many names are being looked up`), {
    code: 'EAI_AGAIN',
    syscall: 'getaddrinfo',
    hostname: name,
  });
}

/**
 * Looks each name up once at a time, for all who ask, and keeps places free of names that give no answer. A name that was known is
 * answered with its last address while its name server is silent or fails (SPEC HL14, HL57, HL58).
 */
export class NameLookups {
  readonly #options: NameLookupsOptions;
  readonly #known = new LRUCache<string, Addresses>({ max: MAX_KNOWN });
  /** Known names that gave no address the last time; each was logged. */
  readonly #failing = new Set<string>();
  readonly #underWay = new Map<string, Promise<Addresses>>();
  readonly #waiting: Lookup[] = [];
  #running = 0;
  #unsure = 0;

  constructor(options: NameLookupsOptions) {
    this.#options = options;
  }

  /** @throws Error as `dns.lookup` gives it */
  async find(name: string, options: LookupAllOptions): Promise<Addresses> {
    const key = JSON.stringify([name, options.family, options.hints, options.order, options.verbatim]);
    const asked = this.#underWay.get(key) ?? this.#begin(key, name, options);
    const known = this.#known.get(key);
    if (known === undefined) return asked;
    try {
      return await withDeadline(systemTimers, LAST_KNOWN_AFTER_MS, asked, () => known);
    } catch (thrown) {
      if (isKnownToBeNone(thrown)) throw thrown;
      return known;
    }
  }

  #begin(key: string, name: string, options: LookupAllOptions): Promise<Addresses> {
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(tooMany(name));
    const { promise, resolve, reject } = Promise.withResolvers<Addresses>();
    const isUnsure = !this.#known.has(key) || this.#failing.has(key);
    const look = async (): Promise<void> => {
      try {
        const found = await this.#options.resolve(name, options);
        this.#remember(key, name, found);
        resolve(found);
      } catch (thrown) {
        this.#noteFailure(key, name, thrown);
        reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
      } finally {
        this.#underWay.delete(key);
        this.#running -= 1;
        if (isUnsure) this.#unsure -= 1;
        this.#fill();
      }
    };
    this.#underWay.set(key, promise);
    this.#waiting.push({ key, isUnsure, start: () => inBackground(look) });
    this.#fill();
    return promise;
  }

  #fill(): void {
    for (;;) {
      if (this.#running >= AT_A_TIME) return;
      const mayBeUnsure = this.#unsure < UNSURE_AT_A_TIME;
      const index = this.#waiting.findIndex(({ isUnsure }) => mayBeUnsure || !isUnsure);
      const [next] = index === -1 ? [] : this.#waiting.splice(index, 1);
      if (next === undefined) return;
      this.#running += 1;
      if (next.isUnsure) this.#unsure += 1;
      next.start();
    }
  }

  #remember(key: string, name: string, found: Addresses): void {
    this.#known.set(key, found);
    if (!this.#failing.delete(key)) return;
    const { lines, logger } = this.#options;
    lines.say(
      'name service answers',
      (...unsaid) =>
        logger.info({ name, ...leftOut(...unsaid) }, 'the name service answers for a name again'),
      name,
    );
  }

  /** Logs a failing name once, until it is answered again. */
  #noteFailure(key: string, name: string, thrown: unknown): void {
    const known = this.#known.get(key);
    if (isKnownToBeNone(thrown)) this.#known.delete(key);
    if (known === undefined || this.#failing.has(key)) return;
    this.#failing.add(key);
    forgetOldest(this.#failing, MAX_KNOWN);
    if (isKnownToBeNone(thrown)) return;
    const { lines, logger } = this.#options;
    const addresses = known.map(({ address }) => address);
    lines.say(
      'name service is silent',
      (...unsaid) => {
        logger.warn(
          { name, addresses, err: thrown, ...leftOut(...unsaid) },
          'the name service gives no answer for a name: its last known address is used',
        );
      },
      name,
    );
  }
}

/** `dns.lookup` of Node, over {@link NameLookups}; `util.promisify` treats it like Node's own. */
export function lookupOver(
  lookups: Pick<NameLookups, 'find'>,
  original: typeof dns.lookup,
): OwnLookup & { readonly [promisify.custom]: PromisedLookup } {
  const lookup: OwnLookup = (name, options, callback) => {
    const given: LookupOptions = typeof options === 'object' ? options : {};
    const { all = false, ...rest } = typeof options === 'number' ? { family: options } : given;
    const done = typeof options === 'function' ? options : callback;
    // These need no lookup.
    if (done === undefined || typeof name !== 'string' || name === '' || isIP(name) !== 0) {
      Reflect.apply(original, dns, [name, options, callback]);
      return;
    }
    const tell = guardCallback('background', done);
    const answer = (found: Addresses): void => {
      const [first] = found;
      if (all) tell(null, [...found]);
      else tell(null, first?.address, first?.family);
    };
    const fail = (fault: NodeJS.ErrnoException): void => tell(fault);
    inBackground(() => lookups.find(name, { ...rest, all: true }).then(answer, fail));
  };
  const promised: PromisedLookup = (name, options = {}) =>
    new Promise((resolve, reject) => {
      const settle: Callback = (error, address, family) => {
        if (error !== null) reject(error);
        else if (typeof address === 'string') resolve({ address, family: family ?? 0 });
        else resolve(address ?? []);
      };
      lookup(name, options, guardCallback('background', settle));
    });
  return Object.assign(lookup, { [promisify.custom]: promised });
}

let isInstalled = false;

/**
 * Replaces `dns.lookup` for the whole process, because clients of Redis, Consul and HTTP accept no lookup function.
 * Only `main.ts` calls it, once.
 */
export function installNameLookups(about: Omit<NameLookupsOptions, 'resolve'>): void {
  if (isInstalled) return;
  isInstalled = true;
  const original = dns.lookup;
  const resolve: ResolveName = promisify(original);
  const lookup = lookupOver(new NameLookups({ resolve, ...about }), original);
  Object.assign(dns, { lookup });
  syncBuiltinESMExports();
}
