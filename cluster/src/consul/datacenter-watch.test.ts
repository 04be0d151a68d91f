import { describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { ConsulFault } from './consul-client.ts';
import type { ServiceReading } from './consul-client.ts';
import { DATACENTER_SILENT_MS, DatacenterWatch } from './datacenter-watch.ts';
import { ConsulNames } from './names.ts';

/** Long enough that a machine that stands still for seconds fails no test. */
const PATIENCE = { interval: 5, timeout: 60_000 };

const SERVICE = 'plenary-media-node';

/** A Consul whose answers the test gives, one after the other, for one service; queries for the other service get none. */
function scriptedConsul() {
  const asked: number[] = [];
  const pending: { answer(reading: ServiceReading): void; fail(fault: unknown): void }[] = [];
  const client = {
    serviceInstances: async ({
      service,
      index,
    }: {
      service: string;
      index: number;
    }): Promise<ServiceReading> => {
      if (service !== SERVICE)
        return index === 0 ? { index: 1, instances: [] } : new Promise(() => undefined);
      asked.push(index);
      return new Promise((resolve, reject) => {
        pending.push({ answer: resolve, fail: reject });
      });
    },
  };
  const next = async () => vi.waitUntil(() => pending.shift(), PATIENCE);
  return { client, asked, next };
}

const instance = (id: string) => ({ id, meta: {}, checks: [], createIndex: 1 });

function watch(client: ReturnType<typeof scriptedConsul>['client']) {
  const clock = new ManualClock();
  const faults: unknown[] = [];
  const held: string[] = [];
  const watched = new DatacenterWatch({
    client,
    names: new ConsulNames(DEFAULT_NAMESPACE),
    datacenter: 'sbg',
    clock,
    onNews: () => undefined,
    onFault: (fault) => faults.push(fault),
    onHeld: () => held.push('held'),
  });
  return { watched, clock, faults, held };
}

describe('following a datacenter', () => {
  it('[CO6] each query waits for a change since the last answer; an index that goes back restarts at zero', async () => {
    const consul = scriptedConsul();
    const { watched } = watch(consul.client);
    (await consul.next()).answer({ index: 40, instances: [instance('a')] });
    (await consul.next()).answer({ index: 41, instances: [instance('a'), instance('b')] });
    (await consul.next()).answer({ index: 7, instances: [instance('c')] });
    await consul.next();
    expect(consul.asked).toEqual([0, 40, 41, 0]);
    expect(watched.instances('media-node')).toEqual([instance('c')]);
    expect(watched.isAnswering).toBe(true);
    watched.close();
  });

  it('[CO6] a failure is reported once and keeps the last answer; the next query is answered at once', async () => {
    const consul = scriptedConsul();
    const { watched, faults } = watch(consul.client);
    (await consul.next()).answer({ index: 40, instances: [instance('a')] });
    (await consul.next()).fail(new PlenaryError('store_unavailable'));
    (await consul.next()).fail(new PlenaryError('store_unavailable'));
    expect(watched.isAnswering).toBe(false);
    expect(watched.instances('media-node')).toEqual([instance('a')]);
    (await consul.next()).answer({ index: 40, instances: [instance('a')] });
    await consul.next();
    expect(watched.isAnswering).toBe(true);
    expect(consul.asked).toEqual([0, 40, 0, 0, 40]);
    expect(faults).toHaveLength(1);
    watched.close();
  });

  it('[HL38] a datacenter that holds queries for too long is polled instead, and that is no failure', async () => {
    const consul = scriptedConsul();
    const { watched, faults, held, clock } = watch(consul.client);
    const late = new ConsulFault('no_answer', undefined, undefined);
    (await consul.next()).answer({ index: 40, instances: [] });
    (await consul.next()).fail(late);
    (await consul.next()).answer({ index: 41, instances: [] });
    (await consul.next()).fail(late);
    (await consul.next()).answer({ index: 42, instances: [instance('a')] });
    (await consul.next()).answer({ index: 43, instances: [] });
    expect([consul.asked, faults, held]).toEqual([[0, 40, 0, 41, 0, 0], [], ['held']]);
    await vi.waitUntil(() => watched.instances('media-node').length === 0, PATIENCE);
    expect(watched.isAnswering).toBe(true);
    clock.advance(60_000);
    (await consul.next()).answer({ index: 44, instances: [] });
    (await consul.next()).fail(late);
    (await consul.next()).fail(late);
    await consul.next();
    expect(consul.asked.slice(6)).toEqual([0, 44, 0, 0]);
    expect([watched.trouble, faults, held]).toEqual(['no_answer', [late], ['held']]);
    watched.close();
  });

  it('[CO24] a datacenter that is silent for too long is lost until it answers', async () => {
    const consul = scriptedConsul();
    const { watched, clock } = watch(consul.client);
    (await consul.next()).answer({ index: 40, instances: [] });
    const second = await consul.next();
    clock.advance(DATACENTER_SILENT_MS);
    expect(watched.isLost).toBe(false);
    clock.advance(1);
    expect(watched.isLost).toBe(true);
    second.answer({ index: 40, instances: [] });
    await consul.next();
    expect(watched.isLost).toBe(false);
    watched.close();
  });
});
