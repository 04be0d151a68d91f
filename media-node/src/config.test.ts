import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, isUnspecified } from '@plenary/cluster';
import { mishandledSettings } from '@plenary/cluster/testing/mistyped';
import { describe, expect, test } from 'vitest';
import { CONFIG_SCHEMA, loadConfig } from './config.ts';

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
      addresses: [{ family: 'ipv4', listenIp: '0.0.0.0', announced: 'media.example.org' }],
      sliceSource: { kind: 'explicit', portSlice: { firstPort: 20_000, lastPort: 20_099 } },
      maxPeers: 1_000,
      maxOutgoingMbit: undefined,
      orphanGraceMs: 60_000,
      leaseMs: 5_000,
      parentPipe: false,
    });
    expect(loadConfig({ ...GOOD, PLENARY_PARENT_PIPE: '1' }).parentPipe).toBe(true);
  });

  test('[CF2] every setting may come from a file, also settings that are compared with others', () => {
    const direct = {
      ...GOOD,
      PLENARY_LISTEN_IP: '10.1.0.21',
      PLENARY_PIPE_ADDRESS: '10.1.0.21',
      PLENARY_CONTROL_URL: 'http://10.1.0.21:4001',
      PLENARY_ADMIN_TOKEN: 'an admin token of at least thirty-two characters',
    };
    const folder = mkdtempSync(join(tmpdir(), 'plenary-config-'));
    try {
      const byFile = Object.entries(direct).map(([name, value]) => {
        writeFileSync(join(folder, name), `${value}\r\n`);
        return [`${name}_FILE`, join(folder, name)] as const;
      });
      expect(loadConfig(Object.fromEntries(byFile))).toEqual(loadConfig(direct));
    } finally {
      rmSync(folder, { recursive: true });
    }
    const { PLENARY_PORT_SLICE: _slice, ...others } = GOOD;
    expect(faultsOf({ ...others, PLENARY_PORT_SLICE_FILE: '/nowhere' })).toEqual([
      expect.stringContaining('PLENARY_PORT_SLICE_FILE: cannot read'),
    ]);
  });

  test('[CO7] Consul is used when it is configured, with a token that may come from a file', () => {
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

  test('[CF13] all faults are reported at once, also those between settings', () => {
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

  test('[CF9] [CF22] a mistyped value is accepted, or is a fault that names its setting and repeats no secret', () => {
    const names = Object.keys(CONFIG_SCHEMA.shape);
    expect(mishandledSettings(names, GOOD, loadConfig)).toEqual([]);
  });

  test.each(['10.1.0.21:4000', 'ws://10.1.0.21:4000', 'media-1', 'http://'])(
    '[CF6] the control URL %s is a fault that says the form',
    (url) => {
      expect(faultsOf({ ...GOOD, PLENARY_CONTROL_URL: url })).toEqual([
        expect.stringMatching(/^PLENARY_CONTROL_URL: .*http:\/\/10\.1\.0\.21:4000/),
      ]);
    },
  );

  test('[CF3] an announced address is required unless the node listens on one interface', () => {
    const { PLENARY_ANNOUNCED_ADDRESS: _left, ...without } = GOOD;
    expect(faultsOf(without)).toHaveLength(1);
    expect(loadConfig({ ...without, PLENARY_LISTEN_IP: 'fd00::1' })).toMatchObject({
      addresses: [{ family: 'ipv6', listenIp: 'fd00::1', announced: 'fd00::1' }],
      controlUrl: 'http://[fd00::1]:4001',
    });
    expect(faultsOf({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: '0.0.0.0' })).toHaveLength(1);
    expect(faultsOf({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: 'not a host' })).toHaveLength(1);
    expect(isUnspecified('::')).toBe(true);
    expect(isUnspecified('::1')).toBe(false);
  });

  test('[PI26] a pipe address is one that other nodes reach, at most one per family', () => {
    const pipes = (PLENARY_PIPE_ADDRESS: string) =>
      loadConfig({ ...GOOD, PLENARY_PIPE_ADDRESS }).pipeAddresses;
    expect(loadConfig(GOOD)).toMatchObject({ pipeAddresses: [], pipeScope: 'cluster' });
    expect(pipes('FD00:0::21, 10.1.0.21')).toEqual(['fd00::21', '10.1.0.21']);
    for (const wrong of ['0.0.0.0', '10.1.0.21,10.1.0.22', 'media.example.org', 'fe80::1%eth0']) {
      const faults = faultsOf({ ...GOOD, PLENARY_PIPE_ADDRESS: wrong });
      expect(faults, wrong).toHaveLength(1);
      expect(faults[0]).toMatch(/^PLENARY_PIPE_ADDRESS: /);
    }
    expect(faultsOf({ ...GOOD, PLENARY_PIPE_SCOPE: 'rack' })).toHaveLength(1);
  });

  const { PLENARY_PORT_SLICE: _slice, ...withoutSlice } = GOOD;

  test('[PS8] exactly one of a slice and a range to lease it from is required', () => {
    expect(loadConfig({ ...withoutSlice, PLENARY_PORT_RANGE: '40000-49999' }).sliceSource).toEqual({
      kind: 'leased',
      range: { firstPort: 40_000, lastPort: 49_999 },
      size: 100,
    });
    expect(
      loadConfig({ ...withoutSlice, PLENARY_PORT_RANGE: '40000-40049', PLENARY_PORT_SLICE_SIZE: '50' })
        .sliceSource,
    ).toMatchObject({ size: 50 });
  });

  test.each([
    [{}, 'PLENARY_PORT_SLICE: is required, or PLENARY_PORT_RANGE'],
    [{ PLENARY_PORT_SLICE: '20000-20099', PLENARY_PORT_RANGE: '40000-49999' }, 'one or the other'],
    [
      { PLENARY_PORT_SLICE: '20000-20099', PLENARY_PORT_SLICE_SIZE: '50' },
      'PLENARY_PORT_SLICE_SIZE: is only',
    ],
    [{ PLENARY_PORT_RANGE: '40000-40049' }, 'PLENARY_PORT_RANGE: has no room for a slice of 100 ports'],
    [
      { PLENARY_PORT_RANGE: '40000-49999', PLENARY_PORT_SLICE_SIZE: '9' },
      'PLENARY_PORT_SLICE_SIZE: has 9 ports',
    ],
    [{ PLENARY_PORT_RANGE: 'many' }, 'PLENARY_PORT_RANGE: must look like'],
    [
      { PLENARY_PORT_RANGE: '40000-49999', PLENARY_PORT_SLICE_SIZE: 'all' },
      'PLENARY_PORT_SLICE_SIZE: must be',
    ],
  ])('[PS8] %j is one fault', (changes, fault) => {
    const faults = faultsOf({ ...withoutSlice, ...changes });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(fault);
  });

  const addressesOf = (announced: string | undefined, listenIp?: string) =>
    loadConfig({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: announced, PLENARY_LISTEN_IP: listenIp }).addresses;

  test('[PS9] one address per family, in the form in which equal addresses are equal texts', () => {
    expect(addressesOf('2001:DB8:0::21, Media.Example.org')).toEqual([
      { family: 'ipv4', listenIp: '0.0.0.0', announced: 'media.example.org' },
      { family: 'ipv6', listenIp: '::', announced: '2001:db8::21' },
    ]);
    expect(addressesOf('203.0.113.21,2001:db8::21', '10.1.0.21,fd00::21')).toEqual([
      { family: 'ipv4', listenIp: '10.1.0.21', announced: '203.0.113.21' },
      { family: 'ipv6', listenIp: 'fd00::21', announced: '2001:db8::21' },
    ]);
    expect(addressesOf('2001:db8::21')).toEqual([
      { family: 'ipv6', listenIp: '::', announced: '2001:db8::21' },
    ]);
    expect(addressesOf(undefined, '127.0.0.1,::1')).toEqual([
      { family: 'ipv4', listenIp: '127.0.0.1', announced: '127.0.0.1' },
      { family: 'ipv6', listenIp: '::1', announced: '::1' },
    ]);
  });

  test('[AD7] [AD25] several addresses of a family are announced in order; nodes know the first public one', () => {
    expect(addressesOf('10.1.0.21,203.0.113.21,10.1.0.21,fd00::21,media.example.org')).toEqual([
      {
        family: 'ipv4',
        listenIp: '0.0.0.0',
        announced: '203.0.113.21',
        clientAddresses: ['10.1.0.21', '203.0.113.21', 'media.example.org'],
      },
      { family: 'ipv6', listenIp: '::', announced: 'fd00::21' },
    ]);
    expect(addressesOf('10.1.0.21,10.2.0.21')[0]).toMatchObject({ announced: '10.1.0.21' });
  });

  test.each([
    [
      { PLENARY_ANNOUNCED_ADDRESS: 'a.example.org,10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4' },
      'PLENARY_ANNOUNCED_ADDRESS: takes 4 IPv4',
    ],
    [{ PLENARY_LISTEN_IP: '10.0.0.1,10.0.0.2' }, 'PLENARY_LISTEN_IP: takes one IPv4'],
    [{ PLENARY_ANNOUNCED_ADDRESS: 'fe80::1%eth0' }, 'PLENARY_ANNOUNCED_ADDRESS: must be'],
    [{ PLENARY_ANNOUNCED_ADDRESS: '203.0.113.21,' }, 'PLENARY_ANNOUNCED_ADDRESS: must be'],
    [{ PLENARY_ANNOUNCED_ADDRESS: '203.0.113.21,::' }, 'an unspecified address'],
    [{ PLENARY_LISTEN_IP: 'eth0' }, 'PLENARY_LISTEN_IP: must be'],
    [{ PLENARY_LISTEN_IP: '::' }, 'PLENARY_LISTEN_IP: :: is of a family of which no address is announced'],
  ])('[PS9] %j is one fault', (changes, fault) => {
    const faults = faultsOf({ ...GOOD, ...changes });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(fault);
  });

  test.each(['http://10.1.0.21:4000/node', 'http://user:hunter2@10.1.0.21:4000', 'http://10.1.0.21:4000?a'])(
    '[CF6] the control URL %s is refused: only scheme, host and port have an effect',
    (url) => {
      const faults = faultsOf({ ...GOOD, PLENARY_CONTROL_URL: url });
      expect(faults).toEqual([expect.stringContaining('PLENARY_CONTROL_URL: must be scheme, host and port')]);
    },
  );

  test('[AD1] the slice may begin at 443, for networks that let nothing else out', () => {
    const config = loadConfig({ ...GOOD, PLENARY_PORT_SLICE: '443-460', PLENARY_WORKERS: '1' });
    expect(config.sliceSource).toEqual({
      kind: 'explicit',
      portSlice: { firstPort: 443, lastPort: 460 },
    });
    expect(faultsOf({ ...GOOD, PLENARY_PORT_SLICE: '0-99' })).toHaveLength(1);
  });

  test.each([
    '256.1.1.1',
    '203.0.113',
    '127.1',
    '010.1.0.21',
    '0x7f.1',
    '203.0.113.5:20000',
    '[2001:db8::1]',
    'a..b',
  ])('[CF8] %s is announced neither as an address nor as a host name', (text) =>
    expect(faultsOf({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: text })).toEqual([
      expect.stringContaining('PLENARY_ANNOUNCED_ADDRESS: must be'),
    ]),
  );

  test('[CF21] an IPv4 address that is mapped into IPv6 is announced as what it is', () => {
    const { addresses } = loadConfig({ ...GOOD, PLENARY_ANNOUNCED_ADDRESS: '::FFFF:203.0.113.5' });
    expect(addresses).toEqual([{ family: 'ipv4', listenIp: '0.0.0.0', announced: '203.0.113.5' }]);
  });

  test('[CF19] an unspecified address, or an operators’ URL with a path, is refused', () => {
    for (const url of ['http://0.0.0.0:4001', 'http://[::]:4001'])
      expect(faultsOf({ ...GOOD, PLENARY_CONTROL_URL: url })).toEqual([
        expect.stringContaining('PLENARY_CONTROL_URL: nobody reaches'),
      ]);
    expect(faultsOf({ ...GOOD, PLENARY_OPERATOR_URL: 'http://10.1.0.21:14001/plenary' })).toEqual([
      expect.stringContaining('PLENARY_OPERATOR_URL: must be scheme, host and port'),
    ]);
  });
});
