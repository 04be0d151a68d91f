import { describe, expect, it } from 'vitest';
import { readinessOf } from './readiness.ts';
import type { ReadinessFacts } from './readiness.ts';

const WELL: ReadinessFacts = {
  isStopping: false,
  isDraining: false,
  isStoreAvailable: true,
  isConsulAvailable: undefined,
  leaseMissing: undefined,
  workersAlive: 1,
  isSurelyUnreached: false,
  isUnlinked: false,
  storeTrouble: undefined,
  consulTrouble: undefined,
};

const ROWS: readonly (readonly [Partial<ReadinessFacts>, string])[] = [
  [{ isStopping: true }, 'stopping'],
  [{ isDraining: true }, 'draining'],
  [{ isStoreAvailable: false }, 'store_unavailable'],
  [{ isConsulAvailable: false }, 'consul_unavailable'],
  [{ leaseMissing: 'lease_lapsed' }, 'lease_lapsed'],
  [{ workersAlive: 0 }, 'no_worker_alive'],
  [{ isSurelyUnreached: true }, 'media_unreached'],
  [{ isUnlinked: true }, 'no_edge_link'],
];

describe('the readiness of a media node', () => {
  it('is good when no reason is against it', () => {
    expect(readinessOf(WELL)).toEqual({ ready: true, reasons: [] });
    expect(readinessOf({ ...WELL, isConsulAvailable: true }).ready).toBe(true);
  });

  it.each(ROWS)('is bad with %o: %s', (facts, reason) => {
    expect(readinessOf({ ...WELL, ...facts })).toEqual({ ready: false, reasons: [reason] });
  });

  it('lists every reason, and the trouble of the store and Consul', () => {
    const facts = Object.assign({}, WELL, ...ROWS.map(([fact]) => fact), {
      storeTrouble: 'no_connection',
      consulTrouble: 'no_answer',
    }) as ReadinessFacts;
    expect(readinessOf(facts)).toEqual({
      ready: false,
      reasons: ROWS.map(([, reason]) => reason),
      store: 'no_connection',
      consul: 'no_answer',
    });
  });
});
