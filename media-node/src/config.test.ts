import { ConfigError } from '@plenary/cluster';
import { describe, expect, test } from 'vitest';
import { isUnspecified, loadConfig } from './config.ts';

const GOOD = {
  PLENARY_ID: 'media-1',
  PLENARY_DATACENTER: 'gra',
  PLENARY_PORT: '4001',
  PLENARY_ANNOUNCED_ADDRESS: 'media.example.org',
  PLENARY_PORT_SLICE: '20000-20099',
  PLENARY_WORKERS: '2',
  REDIS_URL: 'redis://127.0.0.1:6379',
  PLENARY_CLUSTER_SECRET: 'a secret of at least thirty-two characters',
};

function faultsOf(environment: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  test('[CF1] defaults are in place', () => {
    expect(loadConfig(GOOD)).toMatchObject({
      controlUrl: 'http://media.example.org:4001',
      listenIp: '0.0.0.0',
      portSlice: { firstPort: 20_000, lastPort: 20_099 },
      maxPeers: 1_000,
      maxOutgoingMbit: undefined,
      orphanGraceMs: 30_000,
      leaseMs: 5_000,
      parentPipe: false,
    });
    expect(loadConfig({ ...GOOD, PLENARY_PARENT_PIPE: '1' }).parentPipe).toBe(true);
  });

  test('[CO7] Consul is used where it is named, with a token that may come from a file', () => {
    expect(loadConfig(GOOD).consul).toBeUndefined();
    const consul = loadConfig({
      ...GOOD,
      CONSUL_HTTP_ADDR: 'https://10.1.0.21:8501',
      CONSUL_HTTP_TOKEN: 't',
    }).consul;
    expect(consul).toEqual({ address: { host: '10.1.0.21', port: 8501, secure: true }, token: 't' });
    expect(faultsOf({ ...GOOD, CONSUL_HTTP_ADDR: 'unix:///run/consul' })).toHaveLength(1);
    expect(faultsOf({ ...GOOD, CONSUL_HTTP_TOKEN_FILE: '/nowhere' })[0]).toContain('CONSUL_HTTP_TOKEN_FILE');
  });

  test('[CF1] every fault is told at once, those between settings too', () => {
    const faults = faultsOf({
      PLENARY_PORT: 'http',
      PLENARY_PORT_SLICE: '20000-20003',
      PLENARY_WORKERS: '4',
      PLENARY_LISTEN_IP: '::',
      PLENARY_TYPO: 'x',
      PLENARY_CLUSTER_SECRET: 'short',
    });
    const named = faults.map((fault) => fault.split(':')[0]);
    expect(named.sort()).toEqual([
      'PLENARY_ANNOUNCED_ADDRESS',
      'PLENARY_CLUSTER_SECRET',
      'PLENARY_DATACENTER',
      'PLENARY_ID',
      'PLENARY_PORT',
      'PLENARY_PORT_SLICE',
      'PLENARY_TYPO',
      'REDIS_URL',
    ]);
    expect(faults.join('\n')).toContain('4 workers need 12');
  });

  test('[CF3] an announced address is needed unless one interface is listened on', () => {
    const { PLENARY_ANNOUNCED_ADDRESS: _left, ...without } = GOOD;
    expect(faultsOf(without)).toHaveLength(1);
    expect(loadConfig({ ...without, PLENARY_LISTEN_IP: 'fd00::1' })).toMatchObject({
      announcedAddress: 'fd00::1',
      controlUrl: 'http://[fd00::1]:4001',
    });
    expect(faultsOf({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: '0.0.0.0' })).toHaveLength(1);
    expect(faultsOf({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: 'not a host' })).toHaveLength(1);
    expect(isUnspecified('::')).toBe(true);
    expect(isUnspecified('::1')).toBe(false);
  });
});
