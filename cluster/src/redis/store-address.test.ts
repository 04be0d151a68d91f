import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, parseConfig } from '../process/config.ts';
import { STORE_SETTINGS, storeAddressOf, storeFaults } from './store-address.ts';
import type { StoreAddress } from './store-address.ts';

const read = (environment: Record<string, string>): StoreAddress =>
  storeAddressOf(parseConfig(z.object(STORE_SETTINGS), environment, [], storeFaults));

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    read(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

const SENTINELS = {
  PLENARY_REDIS_SENTINELS: '10.1.0.31:26379, [fd00::31]:26379',
  PLENARY_REDIS_SENTINEL_NAME: 'plenary',
};

describe('the address of the store', () => {
  it('[CF12] refuses a placeholder of a shipped file as a password', () => {
    const placeholders: readonly Record<string, string>[] = [
      { REDIS_URL: 'redis://plenary-edge:CHANGE-ME-edge@10.1.0.31:6379/0' },
      { REDIS_URL: 'redis://plenary-edge:CHANGE%2DME-edge@10.1.0.31:6379/0' },
      { ...SENTINELS, PLENARY_REDIS_PASSWORD: 'CHANGE-ME-edge' },
    ];
    for (const settings of placeholders) {
      const faults = faultsOf(settings);
      expect(faults).toEqual([expect.stringContaining('has a placeholder for its password')]);
      expect(faults.join()).not.toContain('edge@');
    }
  });

  it('[ST9] is one Redis by its URL', () => {
    expect(read({ REDIS_URL: 'rediss://:secret@10.1.0.31:6379/1' })).toEqual({
      kind: 'single',
      url: 'rediss://:secret@10.1.0.31:6379/1',
    });
  });

  it('[ST9] is the primary that Sentinels name', () => {
    const login = { PLENARY_REDIS_PASSWORD: 'data', PLENARY_REDIS_SENTINEL_PASSWORD: 'watch' };
    expect(read({ ...SENTINELS, ...login })).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: '10.1.0.31', port: 26_379 },
        { host: 'fd00::31', port: 26_379 },
      ],
      name: 'plenary',
      sentinelUsername: undefined,
      sentinelPassword: 'watch',
      username: undefined,
      password: 'data',
      tls: false,
    });
  });

  it('[HL20] may be others from here than Sentinels and cluster nodes name', () => {
    const map = '10.1.0.31:6379=203.0.113.31:7001, [fd00::32]:6379=redis-2.example.org:6379';
    expect(read({ ...SENTINELS, PLENARY_REDIS_NAT_MAP: map })).toMatchObject({
      natMap: {
        '10.1.0.31:6379': { host: '203.0.113.31', port: 7_001 },
        'fd00::32:6379': { host: 'redis-2.example.org', port: 6_379 },
      },
    });
    expect(faultsOf({ ...SENTINELS, PLENARY_REDIS_NAT_MAP: '10.1.0.31:6379' })).toHaveLength(1);
    expect(faultsOf({ REDIS_URL: 'redis://a', PLENARY_REDIS_NAT_MAP: 'a:1=b:2' })).toHaveLength(1);
  });

  it('[ST9] is a Redis Cluster by some of its nodes', () => {
    const nodes = 'redis-1.example.org:6379,redis-2.example.org:6379';
    const login = { PLENARY_REDIS_USERNAME: 'edge', PLENARY_REDIS_PASSWORD: 'data', PLENARY_REDIS_TLS: 'on' };
    expect(read({ PLENARY_REDIS_CLUSTER: nodes, ...login })).toEqual({
      kind: 'cluster',
      nodes: [
        { host: 'redis-1.example.org', port: 6_379 },
        { host: 'redis-2.example.org', port: 6_379 },
      ],
      username: 'edge',
      password: 'data',
      tls: true,
    });
  });

  it.each([
    ['nothing', {}, ['REDIS_URL']],
    ['an empty one', { REDIS_URL: '' }, ['REDIS_URL']],
    ['two kinds', { REDIS_URL: 'redis://a', PLENARY_REDIS_CLUSTER: 'b:6379' }, ['PLENARY_REDIS_CLUSTER']],
    [
      'three kinds',
      { REDIS_URL: 'redis://a', PLENARY_REDIS_CLUSTER: 'b:6379', ...SENTINELS },
      ['PLENARY_REDIS_SENTINELS', 'PLENARY_REDIS_CLUSTER'],
    ],
    ['Sentinels without a name', { PLENARY_REDIS_SENTINELS: 'a:26379' }, ['PLENARY_REDIS_SENTINEL_NAME']],
    [
      'a login beside a URL',
      { REDIS_URL: 'redis://a', PLENARY_REDIS_PASSWORD: 'x', PLENARY_REDIS_TLS: 'on' },
      ['PLENARY_REDIS_PASSWORD', 'PLENARY_REDIS_TLS'],
    ],
    [
      'what is of Sentinels with a Cluster',
      { PLENARY_REDIS_CLUSTER: 'b:6379', PLENARY_REDIS_SENTINEL_NAME: 'x' },
      ['PLENARY_REDIS_SENTINEL_NAME'],
    ],
    [
      'a user without a password',
      { PLENARY_REDIS_CLUSTER: 'b:6379', PLENARY_REDIS_USERNAME: 'x' },
      ['PLENARY_REDIS_USERNAME'],
    ],
    ['no port', { PLENARY_REDIS_CLUSTER: 'b:6379,c' }, ['PLENARY_REDIS_CLUSTER']],
    ['a port that is none', { PLENARY_REDIS_CLUSTER: 'b:70000' }, ['PLENARY_REDIS_CLUSTER']],
    ['another scheme', { REDIS_URL: 'http://a' }, ['REDIS_URL']],
  ])('[ST18] %s is a fault', (_what, environment, names) => {
    expect(faultsOf(environment).map((fault) => fault.split(':')[0])).toEqual(names);
  });

  it('[CF2] [ST9] a kind that a file names counts, and no password is repeated', () => {
    const faults = faultsOf({ PLENARY_REDIS_CLUSTER: 'redis://:hunter2@b:6379', REDIS_URL_FILE: '/nowhere' });
    expect(faults.map((fault) => fault.split(':')[0])).toEqual([
      'REDIS_URL_FILE',
      'PLENARY_REDIS_CLUSTER',
      'PLENARY_REDIS_CLUSTER',
    ]);
    expect(faults.join()).not.toContain('hunter2');
  });

  it.each([
    'redis://10.1.0.31',
    'REDIS://10.1.0.31:6379/',
    'rediss://user:p%2Fw@redis.example.org:6380/15',
    'redis://:password@[fd00::31]:6379/0',
  ])('[CF17] one Redis may be %s', (url) => {
    expect(read({ REDIS_URL: url })).toEqual({ kind: 'single', url });
  });

  it.each([
    ['unix:///run/redis.sock', 'must be a redis or rediss URL'],
    ['/run/redis.sock', 'must be a redis or rediss URL'],
    ['redis:10.1.0.31:6379', 'must be a redis or rediss URL'],
    ['redis://:secret/word@10.1.0.31', 'must be a redis or rediss URL'],
    ['redis:///run/redis.sock', 'names no host'],
    ['redis://', 'names no host'],
    ['redis://10.1.0.31/plenary', 'the number of a database'],
    ['redis://10.1.0.31/0/', 'the number of a database'],
    ['redis://10.1.0.31?db=1', 'nothing behind ? or #'],
    ['redis://10.1.0.31#1', 'nothing behind ? or #'],
    ['redis://:secret%word@10.1.0.31', '% in its user or password'],
  ])('[CF17] %s is refused in words that repeat nothing of it', (url, said) => {
    const message = faultsOf({ REDIS_URL: url }).join();
    expect(message).toContain('REDIS_URL: ');
    expect(message).toContain(said);
    expect(message).not.toMatch(/secret|10\.1\.0\.31/);
  });
});
