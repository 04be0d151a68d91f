import { describe, expect, it } from 'vitest';
import { edgeRecord, mediaNodeRecord } from '../testing/samples.ts';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import type { ServiceInstance } from './consul-client.ts';
import { ConsulNames } from './names.ts';
import {
  EDGE_META,
  MEDIA_NODE_META,
  candidateService,
  edgeService,
  isLive,
  mediaNodeService,
} from './services.ts';

const LONGEST_META = 512;
const NAMES = new ConsulNames(DEFAULT_NAMESPACE);

describe('services in Consul', () => {
  it('[CO4] a record is unchanged except for load and number of peers, within Consul’s limits', () => {
    const record = mediaNodeRecord('n'.repeat(64), {
      controlUrl: `http://${'a'.repeat(490)}:3100`,
      announcedAddress: 'b'.repeat(255),
      announcedIpv6: '2001:db8::1',
      state: 'draining',
      load: { workerCpu: 0.5, controlCpu: 0.1, bandwidth: 0.2, packets: 0.3 },
      peerCount: 9,
      recentJoins: 8,
      reportedAtMs: 7,
    });
    const { meta } = mediaNodeService(NAMES, record, 5_000);
    expect(Math.max(...Object.values(meta).map((value) => value.length))).toBeLessThanOrEqual(LONGEST_META);
    expect(Object.keys(meta).every((key) => /^[a-z0-9-]+$/.test(key))).toBe(true);
    expect(MEDIA_NODE_META.parse(meta)).toEqual({
      ...record,
      load: { workerCpu: 0, controlCpu: 0, bandwidth: 0, packets: 0 },
      peerCount: 0,
      recentJoins: 0,
      reportedAtMs: 0,
    });
    for (const edge of [edgeRecord('edge-a'), edgeRecord('edge-a', { isClockOff: true, isPubSubOff: true })])
      expect(EDGE_META.parse(edgeService(NAMES, edge, 5_000).meta)).toEqual(edge);
  });

  it('[CO11] a candidate is a service with the same id and lease as the announced one', () => {
    const record = mediaNodeRecord('node-a', { announcedIpv6: '2001:db8::1' });
    const { id, name, ttlMs, meta } = candidateService(NAMES, { ...record, wanted: record.portSlice }, 5_000);
    const announced = mediaNodeService(NAMES, record, 5_000);
    expect({ id, name, ttlMs }).toEqual({ id: announced.id, name: announced.name, ttlMs: announced.ttlMs });
    expect({ ...announced.meta, ...meta }).toEqual({ ...announced.meta, state: 'starting' });
    expect(MEDIA_NODE_META.safeParse(meta).success).toBe(false);
  });

  it('[CO4] load and number of peers do not change the service', () => {
    const record = mediaNodeRecord('node-a');
    const load = { workerCpu: 0.9, controlCpu: 0.9, bandwidth: 0.9, packets: 0.9 };
    const busy = { ...record, load, peerCount: 500, recentJoins: 50, reportedAtMs: 5 };
    expect(mediaNodeService(NAMES, busy, 5_000)).toEqual(mediaNodeService(NAMES, record, 5_000));
  });

  it('[CO4] address and port are those of the control URL, IPv6 without brackets, standard ports filled in', () => {
    const service = (controlUrl: string) =>
      mediaNodeService(NAMES, mediaNodeRecord('node-a', { controlUrl }), 5_000);
    expect(service('http://[2001:db8::1]:4000')).toMatchObject({ address: '2001:db8::1', port: 4000 });
    expect(service('https://media.example.org')).toMatchObject({ address: 'media.example.org', port: 443 });
  });

  it.each<[string, ServiceInstance['checks'], boolean]>([
    ['its check passes', [{ id: 's', status: 'passing' }], true],
    ['it was not granted yet', [{ id: 's', status: 'warning' }], false],
    ['its lease has lapsed', [{ id: 's', status: 'critical' }], false],
    ['it has no check', [], false],
    ['only another check passes', [{ id: 'serfHealth', status: 'passing' }], false],
    [
      'its host is lost',
      [
        { id: 's', status: 'passing' },
        { id: 'serfHealth', status: 'critical' },
      ],
      false,
    ],
    [
      'its host has a warning',
      [
        { id: 's', status: 'passing' },
        { id: 'disk', status: 'warning' },
      ],
      true,
    ],
    [
      'it is in maintenance',
      [
        { id: 's', status: 'passing' },
        { id: '_maint', status: 'critical' },
      ],
      false,
    ],
  ])('[CO1] where %s, %j makes it alive: %s', (_why, checks, alive) => {
    expect(isLive({ id: 's', meta: {}, createIndex: 1, checks })).toBe(alive);
  });
});
