import { describe, expect, it, vi } from 'vitest';
import { MAX_RECORDS } from '../registry/reading.ts';
import { edgeRecord } from '../testing/samples.ts';
import type { ServiceInstance } from './consul-client.ts';
import { ServiceReader } from './service-reader.ts';
import { EDGE_META, edgeService } from './services.ts';
import { ConsulNames } from './names.ts';
import { DEFAULT_NAMESPACE } from '../namespace.ts';

const NAMES = new ConsulNames(DEFAULT_NAMESPACE);
let created = 0;
const living = (id: string, meta: Readonly<Record<string, string>>): ServiceInstance => ({
  id,
  meta,
  checks: [{ id, status: 'passing' }],
  createIndex: (created += 1),
});
const edge = (name: string): ServiceInstance => {
  const { id, meta } = edgeService(NAMES, edgeRecord(name), 5_000);
  return living(id, meta);
};
/** The same instances as new objects, as in a new answer of Consul. */
const again = (instances: readonly ServiceInstance[]): ServiceInstance[] =>
  instances.map((instance) => ({ ...instance, meta: { ...instance.meta } }));

function reader() {
  const parse = vi.spyOn(EDGE_META, 'safeParse');
  const unreadable = vi.fn();
  const services = new ServiceReader(EDGE_META, ({ edgeId }) => edgeId, unreadable);
  const names = async (instances: readonly ServiceInstance[]) =>
    (await services.read(instances)).map(({ edgeId }) => edgeId);
  return { names, parse, unreadable };
}

describe('ServiceReader', () => {
  it('[EN40] parses each record once, and again only if it changed', async () => {
    const { names, parse } = reader();
    const instances = [edge('b'), edge('a'), living('x', { id: 'garbage' })];
    expect(await names(instances)).toEqual(['a', 'b']);
    parse.mockClear();
    expect(await names(again(instances))).toEqual(['a', 'b']);
    expect(parse).not.toHaveBeenCalled();
    expect(await names([...again(instances), edge('c')])).toEqual(['a', 'b', 'c']);
    expect(parse).toHaveBeenCalledTimes(1);
  });

  it('[EN13] [EN42] reads a bounded number, some in each turn of the event loop, and keeps all known records', async () => {
    const { names, parse, unreadable } = reader();
    const real = [edge('real')];
    expect(await names(real)).toEqual(['real']);
    parse.mockClear();
    const garbage = Array.from({ length: 5_000 }, (_, index) => living(`x-${index}`, { id: `x-${index}` }));
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 0);
    expect(await names([...garbage, ...again(real)])).toEqual(['real']);
    clearInterval(counting);
    expect(parse.mock.calls.length).toBe(MAX_RECORDS - 1);
    expect(turns).toBeGreaterThan(5);
    expect(unreadable).toHaveBeenCalledTimes(MAX_RECORDS - 1);
    // Other records are read in turn, so that each is read within a few readings; then it is known.
    const late = edge('late');
    for (let reading = 0; reading < 6; reading += 1) await names([...garbage, late, ...real]);
    expect(await names([...garbage, late, ...real])).toEqual(['late', 'real']);
  });

  it('[EN42] reads all records in turn even if there are more known forgeries than it reads, and keeps the first ones', async () => {
    const { names } = reader();
    const first = edge('first');
    expect(await names([first])).toEqual(['first']);
    const forged = Array.from({ length: MAX_RECORDS + 200 }, (_, index) => edge(`aa-${index}`));
    await names(again([...forged, first]));
    const late = edge('late');
    let met = 0;
    for (let reading = 0; reading < 5; reading += 1) {
      const read: readonly string[] = await names(again([...forged, late, first]));
      expect(read).toContain('first');
      expect(read.length).toBeLessThanOrEqual(MAX_RECORDS);
      if (read.includes('late')) met += 1;
    }
    expect(met).toBeGreaterThan(0);
  });
});
