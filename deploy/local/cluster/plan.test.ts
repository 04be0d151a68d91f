import { THREADS } from '@plenary/cluster/thread-pool';
import { describe, expect, it } from 'vitest';
import { nodeEnvironment } from './cluster.ts';
import { completeOptions } from './options.ts';
import type { LocalClusterOptions } from './options.ts';
import { planCluster } from './plan.ts';

const ports = { edges: 3000, control: 3100, operators: 3300, rtp: 20_000 };
const secrets = { clusterSecret: 'cluster', apiKey: 'key', apiSecret: 'secret', adminToken: 'admin' };
const plan = (options: LocalClusterOptions, at = ports) =>
  planCluster(completeOptions({ web: false, ...options }), at, 'redis://127.0.0.1:1', secrets);

describe('planCluster', () => {
  it('numbers processes within their datacenter', () => {
    expect(plan({ edges: 3, mediaNodes: 4 }).map(({ id }) => id)).toEqual([
      'edge-gra-1',
      'edge-sbg-1',
      'edge-gra-2',
      'media-gra-1',
      'media-sbg-1',
      'media-gra-2',
      'media-sbg-2',
    ]);
  });

  it('gives each process enough threads for names before it starts', () => {
    const [first] = plan({ edges: 1, mediaNodes: 0 });
    expect(first && nodeEnvironment(first, 'a-cluster')).toMatchObject(THREADS);
  });

  it('gives each media node its own slice and each process its own port', () => {
    const nodes = plan({ edges: 0, mediaNodes: 3, sliceSize: 50 });
    expect(nodes.map(({ env }) => env['PLENARY_PORT_SLICE'])).toEqual([
      '20000-20049',
      '20050-20099',
      '20100-20149',
    ]);
    expect(nodes.map(({ port }) => port)).toEqual([3100, 3101, 3102]);
  });

  it('tells browsers localhost, where they give camera and microphone without HTTPS', () => {
    expect(plan({ edges: 1, mediaNodes: 0 })[0]?.env['PLENARY_PUBLIC_URL']).toBe('http://localhost:3000');
  });

  it('listens everywhere when the announced address is not this machine alone', () => {
    const [edge, node] = plan({ edges: 1, mediaNodes: 1, announcedAddress: '192.0.2.7' });
    expect(edge?.env['PLENARY_HOST']).toBe('0.0.0.0');
    expect(edge?.env['PLENARY_PUBLIC_URL']).toBe('http://192.0.2.7:3000');
    expect(node?.env['PLENARY_LISTEN_IP']).toBe('0.0.0.0');
    expect(node?.env['PLENARY_ANNOUNCED_ADDRESS']).toBe('192.0.2.7');
    expect(node?.env['PLENARY_CONTROL_URL']).toBe('http://127.0.0.1:3100');
  });

  it('refuses ports that run into each other or out of the range', () => {
    expect(() => plan({ edges: 2 }, { ...ports, control: 3001 })).toThrow(
      /edges \(3000 to 3001\).*control \(3001 to 3002\)/,
    );
    expect(() => plan({}, { ...ports, rtp: 65_400 })).toThrow(/65400 to 65599/);
  });
});

describe('completeOptions', () => {
  it.each<[LocalClusterOptions, RegExp]>([
    [{ edges: -1 }, /number of edges/],
    [{ workers: 0 }, /number of workers/],
    [{ sliceSize: 2, workers: 2 }, /RTP ports of a media node/],
    [{ announcedAddress: 'not an address' }, /announced address/],
    [{ datacenters: [] }, /at least one datacenter/],
  ])('refuses %j', (options, message) => {
    expect(() => completeOptions(options)).toThrow(message);
  });
});
