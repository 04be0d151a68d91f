import { datacenter, edgeRecord, mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { createAddressReader } from './http/client-address.ts';
import { Oddities, loneDatacenters, oddPublicUrls } from './oddities.ts';

const warn = vi.fn();
let oddities: Oddities;

beforeEach(() => {
  warn.mockClear();
  oddities = new Oddities({ warn });
});

const repeat = (times: number, what: (turn: number) => void): void => {
  for (let turn = 0; turn < times; turn += 1) what(turn);
};

describe('what is odd is said once', () => {
  test('[AD4] a refused origin, with the setting; strangers who make some up fill no log', () => {
    repeat(3, () => {
      oddities.originRefused('https://app.example.org');
    });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith(
      { origin: 'https://app.example.org' },
      expect.stringContaining('PLENARY_ALLOWED_ORIGINS'),
    );
    repeat(1_000, (turn) => {
      oddities.originRefused(`https://x${turn}.example.org`);
    });
    expect(warn).toHaveBeenCalledTimes(10);
  });

  test('[AD18] a public URL by plain HTTP, from which browsers give no camera, unless it is of this machine', () => {
    for (const url of [
      'https://meet.example.org',
      'http://localhost:3000',
      'http://127.0.0.1:3000',
      'http://[::1]:3000',
    ])
      oddities.ownPublicUrl(url);
    expect(warn).not.toHaveBeenCalled();
    oddities.ownPublicUrl('http://meet.example.org');
    expect(warn).toHaveBeenCalledWith(
      { publicUrl: 'http://meet.example.org' },
      expect.stringContaining('PLENARY_PUBLIC_URL is no https URL'),
    );
  });

  test('[AD17] X-Forwarded-For of a peer that is no trusted proxy and sends it again and again', () => {
    const proxy = { address: '10.1.0.0', prefixLength: 24, family: 'ipv4' } as const;
    const read = createAddressReader([proxy], (address, claim) => {
      oddities.forwardingIgnored(address, claim);
    });
    repeat(100, () => {
      read({ remoteAddress: '10.1.0.5', forwardedFor: '203.0.113.9' });
      read({ remoteAddress: '10.2.0.6' });
    });
    repeat(19, () => read({ remoteAddress: '10.2.0.5', forwardedFor: '203.0.113.9' }));
    expect(warn).not.toHaveBeenCalled();
    repeat(100, () => read({ remoteAddress: '::ffff:10.2.0.5', forwarded: 'for=203.0.113.9' }));
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith(
      { address: '10.2.0.5' },
      expect.stringContaining('PLENARY_TRUSTED_PROXIES'),
    );
  });

  test('[AD17] X-Forwarded-For of a proxy that few people come through', () => {
    // One stranger who tries a header out, four times, or with two values.
    repeat(4, (turn) => oddities.forwardingIgnored('203.0.113.1', `6.6.6.${turn}`));
    repeat(19, (turn) => oddities.forwardingIgnored('203.0.113.2', `6.6.6.${turn % 2}`));
    expect(warn).not.toHaveBeenCalled();
    repeat(15, (turn) => oddities.forwardingIgnored('10.2.0.5', `198.51.100.${turn % 3}`));
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('[AD13] sockets that are refused since the edge is full', () => {
    repeat(5, () => {
      oddities.socketsFull(768);
    });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith({ sockets: 768 }, expect.stringContaining('nofile'));
  });

  test('[AD19] [AD20] an edge of another public URL and a lone datacenter, when they stay so', () => {
    const edges = [
      edgeRecord('a'),
      edgeRecord('b'),
      edgeRecord('c', { publicUrl: 'https://localhost:3000', datacenter: datacenter('grA') }),
    ];
    repeat(9, () => {
      oddities.clusterRead(edges, []);
    });
    oddities.clusterRead(edges.slice(0, 2), []);
    repeat(9, () => {
      oddities.clusterRead(edges, []);
    });
    expect(warn).not.toHaveBeenCalled();
    repeat(20, () => {
      oddities.clusterRead(edges, []);
    });
    expect(warn.mock.calls).toEqual([
      [
        { oddEdgeId: 'c', publicUrl: 'https://localhost:3000' },
        expect.stringContaining('PLENARY_PUBLIC_URL'),
      ],
      [{ processId: 'c', loneDatacenter: 'grA' }, expect.stringContaining('PLENARY_DATACENTER')],
    ]);
  });

  test('[AD20] a process whose neighbours died is not taken for a misspelt datacenter', () => {
    const here = edgeRecord('a');
    const there = ['b', 'c'].map((id) => edgeRecord(id, { datacenter: datacenter('sbg') }));
    oddities.clusterRead([here, ...there], [mediaNodeRecord('m')]);
    repeat(10, () => oddities.clusterRead(there, [mediaNodeRecord('m')]));
    expect(warn).not.toHaveBeenCalled();
    repeat(10, () => oddities.clusterRead(there, [mediaNodeRecord('m', { datacenter: datacenter('grav') })]));
    expect(warn).toHaveBeenCalledOnce();
  });
});

describe('what counts as odd', () => {
  const urls = (...publicUrls: string[]) =>
    oddPublicUrls(publicUrls.map((publicUrl, index) => edgeRecord(`e${index}`, { publicUrl }))).map(
      ({ publicUrl }) => publicUrl,
    );

  test('[AD19] a public URL where the others agree', () => {
    const site = 'https://meet.example.org';
    expect(urls(site, site, 'https://meet.example.com')).toEqual(['https://meet.example.com']);
    expect(urls(site, site, 'http://meet.example.org')).toEqual(['http://meet.example.org']);
    expect(urls(site, 'http://meet.example.org')).toHaveLength(2);
    expect(urls('https://a.example', 'https://b.example', 'http://c.example')).toEqual(['http://c.example']);
    expect(urls('http://localhost:3000', 'http://localhost:3001', 'http://localhost:3002')).toEqual([]);
    expect(urls('https://a.example', 'https://b.example', 'https://c.example')).toEqual([]);
    expect(urls(site)).toEqual([]);
    expect(urls(site, 'https://meet.example.com')).toHaveLength(2);
    expect(urls(site, 'https://localhost')).toHaveLength(2);
    expect(urls(site, site, 'https://meet.example.org:8443')).toEqual(['https://meet.example.org:8443']);
    const other = 'https://meet.example.com';
    expect(urls(site, site, other, other)).toHaveLength(4);
    expect(urls(site, site, other, 'https://localhost')).toEqual([other, 'https://localhost']);
    expect(urls('https://10.0.0.1', 'https://10.0.0.2')).toEqual([]);
  });

  test('[AD19] no public URL where each datacenter has its own', () => {
    const edges = ['gra', 'gra', 'sbg', 'sbg'].map((name, index) =>
      edgeRecord(`e${index}`, { publicUrl: `https://${name}.example.org`, datacenter: datacenter(name) }),
    );
    expect(oddPublicUrls(edges)).toEqual([]);
    const last = edgeRecord('e4', { publicUrl: 'https://gra.example.org', datacenter: datacenter('sbg') });
    expect(oddPublicUrls([...edges, last]).map(({ publicUrl }) => publicUrl)).toContain(
      'https://sbg.example.org',
    );
  });

  test('[AD20] a datacenter of one process, while others are together', () => {
    const gra = [edgeRecord('a'), edgeRecord('b')];
    expect(loneDatacenters(gra, [mediaNodeRecord('m', { datacenter: datacenter('sbg') })])).toEqual([
      { id: 'm', datacenter: 'sbg' },
    ]);
    expect(loneDatacenters(gra, [mediaNodeRecord('m')])).toEqual([]);
    expect(loneDatacenters(gra.slice(1), [mediaNodeRecord('m')])).toEqual([]);
    expect(loneDatacenters(gra.slice(1), [])).toEqual([]);
    const misspelt = mediaNodeRecord('m', { datacenter: datacenter('grav') });
    expect(loneDatacenters(gra.slice(1), [misspelt])).toEqual([
      { id: 'b', datacenter: 'gra' },
      { id: 'm', datacenter: 'grav' },
    ]);
  });
});
