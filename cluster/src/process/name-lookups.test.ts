import dns from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../clock.ts';
import { RareLines } from './rare-lines.ts';
import { lookupOver, NameLookups } from './name-lookups.ts';
import type { ResolveName } from './name-lookups.ts';

const at = (address: string): readonly LookupAddress[] => [{ address, family: 4 }];
const fault = (code: string): Error => Object.assign(new Error(`getaddrinfo ${code}`), { code });

/** A name service whose answers the test gives. */
class NameService {
  readonly asked: string[] = [];
  readonly #open = new Map<string, PromiseWithResolvers<readonly LookupAddress[]>>();

  readonly resolve: ResolveName = (name) => {
    this.asked.push(name);
    const question = Promise.withResolvers<readonly LookupAddress[]>();
    this.#open.set(name, question);
    return question.promise;
  };

  answer(name: string, answer: readonly LookupAddress[] | Error): void {
    const question = this.#open.get(name);
    this.#open.delete(name);
    if (answer instanceof Error) question?.reject(answer);
    else question?.resolve(answer);
  }
}

const settled = async (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

describe('NameLookups', () => {
  let service: NameService;
  let lookups: NameLookups;
  const logger = { info: vi.fn(), warn: vi.fn() };
  const find = async (name: string): Promise<readonly LookupAddress[]> => lookups.find(name, { all: true });

  beforeEach(() => {
    vi.useFakeTimers();
    vi.clearAllMocks();
    service = new NameService();
    lookups = new NameLookups({ resolve: service.resolve, logger, lines: new RareLines(systemClock) });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function know(name: string, address: string): Promise<void> {
    const found = find(name);
    await settled();
    service.answer(name, at(address));
    expect(await found).toEqual(at(address));
  }

  it('[HL14] looks a name up once for simultaneous callers, and again for a later one', async () => {
    const found = Promise.all([find('redis'), find('redis'), find('redis')]);
    await settled();
    expect(service.asked).toEqual(['redis']);
    service.answer('redis', at('10.1.0.31'));
    expect(await found).toEqual([at('10.1.0.31'), at('10.1.0.31'), at('10.1.0.31')]);
    await know('redis', '10.2.0.31');
    expect(service.asked).toEqual(['redis', 'redis']);
  });

  it('[HL57] unanswered names delay no known name', async () => {
    await know('redis', '10.1.0.31');
    const hanging = Promise.allSettled(names('lost', 100).map(find));
    await settled();
    expect(service.asked.filter((name) => name.startsWith('lost')).length).toBeLessThan(16);
    await know('redis', '10.1.0.32');
    for (const name of names('lost', 100)) {
      service.answer(name, fault('EAI_AGAIN'));
      await settled();
    }
    expect((await hanging).every(({ status }) => status === 'rejected')).toBe(true);
  });

  it('[HL57] known names that all become silent delay others only once, and attempts do not pile up', async () => {
    const lost = names('lost', 40);
    for (const name of lost) await know(name, '10.9.0.1');
    await know('redis', '10.1.0.31');
    service.asked.length = 0;
    const waiting = Array.from({ length: 20 }, () => lost.map(find)).flat();
    await settled();
    expect(service.asked.length).toBeLessThanOrEqual(16);
    for (const name of lost) {
      service.answer(name, fault('EAI_AGAIN'));
      await settled();
    }
    await Promise.all(waiting);
    expect(service.asked).toHaveLength(lost.length);
    // These names are now known to be silent.
    const again = lost.map(find);
    await know('redis', '10.1.0.32');
    for (const name of lost) {
      service.answer(name, at('10.9.0.1'));
      await settled();
    }
    await Promise.all(again);
  });

  it('[HL58] a known name keeps its address while the name server is silent or answers that it cannot tell', async () => {
    await know('redis', '10.1.0.31');
    const waiting = find('redis');
    await vi.advanceTimersByTimeAsync(500);
    expect(await waiting).toEqual(at('10.1.0.31'));
    service.answer('redis', fault('EAI_AGAIN'));
    await settled();
    for (const code of ['EAI_AGAIN', 'EMFILE']) {
      const failing = find('redis');
      await settled();
      service.answer('redis', fault(code));
      expect(await failing).toEqual(at('10.1.0.31'));
    }
    expect(logger.warn).toHaveBeenCalledTimes(1);
    await know('redis', '10.2.0.31');
    expect(logger.info).toHaveBeenCalledTimes(1);
  });

  it('[HL58] a name that no longer exists has no address, nor has one that never had any', async () => {
    await know('redis', '10.1.0.31');
    for (const name of ['redis', 'never']) {
      const failing = find(name);
      await settled();
      service.answer(name, fault('ENOTFOUND'));
      await expect(failing).rejects.toMatchObject({ code: 'ENOTFOUND' });
    }
    const later = find('redis');
    await settled();
    service.answer('redis', fault('EAI_AGAIN'));
    await expect(later).rejects.toMatchObject({ code: 'EAI_AGAIN' });
  });

  it('[HL57] most of a stranger’s thousands of names are refused', async () => {
    const ends = Promise.allSettled(names('made-up', 2_000).map(find));
    await settled();
    for (const name of names('made-up', 2_000)) {
      service.answer(name, fault('ENOTFOUND'));
      await settled();
    }
    expect((await ends).filter(({ status }) => status === 'rejected')).toHaveLength(2_000);
    expect(service.asked.length).toBeLessThan(300);
  });
});

describe('lookupOver', () => {
  const found = at('10.1.0.31');
  const lookup = lookupOver({ find: () => Promise.resolve(found) }, dns.lookup);

  it.each([
    ['without options', undefined, ['10.1.0.31', 4]],
    ['with a family', 4, ['10.1.0.31', 4]],
    ['with options', { family: 4 }, ['10.1.0.31', 4]],
    ['for all addresses', { all: true }, [found]],
  ] as const)('answers as dns.lookup does, %s', async (_, options, expected) => {
    const told = await new Promise<unknown[]>((resolve) => {
      const done = (...args: unknown[]): void => resolve(args);
      if (options === undefined) lookup('redis', done);
      else lookup('redis', options, done);
    });
    expect(told.slice(0, 3).filter((value) => value !== undefined)).toEqual([null, ...expected]);
  });

  it('can be promisified like dns.lookup', async () => {
    const promised = promisify(lookup);
    expect(await promised('redis')).toEqual({ address: '10.1.0.31', family: 4 });
    expect(await promised('redis', 4)).toEqual({ address: '10.1.0.31', family: 4 });
    expect(await promised('redis', { all: true })).toEqual(found);
    expect(await promised('::1')).toEqual({ address: '::1', family: 6 });
    const failing = lookupOver({ find: () => Promise.reject(fault('ENOTFOUND')) }, dns.lookup);
    await expect(promisify(failing)('gone')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('leaves addresses and invalid names to dns.lookup', async () => {
    const told = await new Promise<unknown[]>((resolve) => lookup('::1', {}, (...args) => resolve(args)));
    expect(told).toEqual([null, '::1', 6]);
  });
});
