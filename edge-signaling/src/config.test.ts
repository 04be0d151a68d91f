import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminKeyText, ConfigError } from '@plenary/cluster';
import { mishandledSettings } from '@plenary/cluster/testing/mistyped';
import { roomName } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { EDGE_SETTINGS, readEdgeConfig } from './config.ts';

const SECRET = 'a-secret-that-only-this-test-knows';
const OTHER_SECRET = 'another-secret-that-only-this-test-knows';
const CLUSTER_SECRET = 'a cluster secret that only this test knows';
const VALID = {
  PLENARY_ID: 'edge-1',
  PLENARY_DATACENTER: 'gra',
  PLENARY_PORT: '3000',
  PLENARY_PUBLIC_URL: 'https://meet.example.org/',
  REDIS_URL: 'redis://127.0.0.1:6379',
  PLENARY_CLUSTER_SECRET: CLUSTER_SECRET,
  PLENARY_API_KEYS: `one:${SECRET},two:${OTHER_SECRET}`,
};

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    readEdgeConfig(environment);
  } catch (fault) {
    if (fault instanceof ConfigError) return fault.faults;
    throw fault;
  }
  return [];
}

describe('readEdgeConfig', () => {
  it('[CF1] fills in what is not given', () => {
    expect(readEdgeConfig(VALID)).toMatchObject({
      host: '0.0.0.0',
      publicUrl: 'https://meet.example.org',
      guests: undefined,
      trustedProxies: [],
      allowedOrigins: undefined,
      maxPeersPerRoom: 1_000,
      packingLimit: 50,
      roomPeersPerNode: 200,
      joinsPerNode: 100,
      datacenterOrder: [],
      tenantLimits: { byTenant: new Map(), others: { maxPeers: undefined, maxRooms: undefined } },
      resumeWithinMs: 15_000,
      leaseMs: 5_000,
    });
  });

  it('[CO7] uses Consul where it is named, with a token that may come from a file', () => {
    expect(readEdgeConfig(VALID).consul).toBeUndefined();
    const { consul } = readEdgeConfig({
      ...VALID,
      CONSUL_HTTP_ADDR: '127.0.0.1:8500',
      CONSUL_HTTP_TOKEN: 't',
    });
    expect(consul).toEqual({ address: { host: '127.0.0.1', port: 8500, secure: false }, token: 't' });
    expect(faultsOf({ ...VALID, CONSUL_HTTP_ADDR: 'unix:///run/consul' })).toHaveLength(1);
    expect(faultsOf({ ...VALID, CONSUL_HTTP_TOKEN_FILE: '/nowhere' })[0]).toContain('CONSUL_HTTP_TOKEN_FILE');
  });

  it('[CF1] reads lists', () => {
    const config = readEdgeConfig({
      ...VALID,
      PLENARY_ALLOWED_ORIGINS: 'https://a.example, https://b.example:8443/',
      PLENARY_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    });
    expect(config.apiKeys).toEqual(
      new Map([
        ['one', [SECRET]],
        ['two', [OTHER_SECRET]],
      ]),
    );
    expect(config.allowedOrigins).toEqual(new Set(['https://a.example', 'https://b.example:8443']));
    expect(config.trustedProxies).toEqual([
      { address: '10.0.0.0', prefixLength: 8, family: 'ipv4' },
      { address: '::1', prefixLength: 128, family: 'ipv6' },
    ]);
    expect(readEdgeConfig({ ...VALID, PLENARY_ALLOWED_ORIGINS: '*' }).allowedOrigins).toBe('*');
    expect(readEdgeConfig({ ...VALID, PLENARY_TRUSTED_PROXIES: 'off' }).trustedProxies).toEqual([]);
  });

  it('[PL9] [CF1] reads the order of datacenters', () => {
    const config = readEdgeConfig({ ...VALID, PLENARY_DATACENTER_ORDER: 'sbg, rbx' });
    expect(config.datacenterOrder).toEqual(['sbg', 'rbx']);
    expect(faultsOf({ ...VALID, PLENARY_DATACENTER_ORDER: 'sbg rbx' })).toHaveLength(1);
  });

  it('[PL12] [CF1] reads the limits of tenants', () => {
    const { tenantLimits } = readEdgeConfig({
      ...VALID,
      PLENARY_TENANT_LIMITS: 'one=500/20, *=100/-,two=-/0',
    });
    expect(tenantLimits.others).toEqual({ maxPeers: 100, maxRooms: undefined });
    expect([...tenantLimits.byTenant]).toEqual([
      ['one', { maxPeers: 500, maxRooms: 20 }],
      ['two', { maxPeers: undefined, maxRooms: 0 }],
    ]);
    for (const [text, fault] of [
      ['one=500', 'one=500 is not'],
      ['one=5/5,one=6/6', 'the key one is given twice'],
      // A misspelt key would leave the tenant that was meant without a limit.
      ['won=5/5', 'won is not one of PLENARY_API_KEYS or PLENARY_JOIN_KEYS'],
    ]) {
      expect(faultsOf({ ...VALID, PLENARY_TENANT_LIMITS: text ?? '' }).join()).toContain(fault);
    }
  });

  it('[OP5] takes the key of this very edge for its operators, or the token, and not both', () => {
    const token = 'a token of operators that only tests know';
    const own = adminKeyText(token, { kind: 'edge', id: 'edge-1' });
    expect(readEdgeConfig({ ...VALID, PLENARY_ADMIN_KEY: own }).operators.adminSecrets).toHaveLength(1);
    for (const [given, why] of [
      [{ PLENARY_ADMIN_KEY: own, PLENARY_ADMIN_TOKEN: token }, 'one or the other'],
      [
        { PLENARY_ADMIN_KEY: adminKeyText(token, { kind: 'edge', id: 'edge-2' }) },
        'is the key of edge edge-2',
      ],
      [{ PLENARY_ADMIN_KEY: adminKeyText(token, { kind: 'media-node', id: 'edge-1' }) }, 'media-node edge-1'],
      [{ PLENARY_ADMIN_KEY: token }, 'plenaryctl admin-key'],
    ] as const)
      expect(() => readEdgeConfig({ ...VALID, ...given })).toThrow(why);
  });

  it('[TN4] [CF1] reads whose rooms guests go to, and which', () => {
    const open = { ...VALID, PLENARY_GUESTS: 'on' };
    const { guests } = readEdgeConfig({ ...open, PLENARY_GUEST_TENANT: 'two', PLENARY_GUEST_ROOMS: 'lobby' });
    expect(guests?.tenantId).toBe('two');
    expect([roomName('lobby'), roomName('board')].map((name) => guests?.isOpen(name))).toEqual([true, false]);
    const only = readEdgeConfig({ ...open, PLENARY_API_KEYS: `one:${SECRET}` }).guests;
    expect([only?.tenantId, only?.isOpen(roomName('any'))]).toEqual(['one', true]);
    for (const [environment, fault] of [
      [open, 'PLENARY_GUEST_TENANT: must say'],
      [{ ...open, PLENARY_GUEST_TENANT: 'three' }, 'three is not one of PLENARY_API_KEYS'],
      [{ ...open, PLENARY_GUEST_TENANT: 'one', PLENARY_GUEST_ROOMS: '/' }, 'PLENARY_GUEST_ROOMS: must be'],
      [{ ...VALID, PLENARY_GUEST_TENANT: 'one' }, 'PLENARY_GUEST_TENANT: has no meaning'],
      [{ ...VALID, PLENARY_GUEST_ROOMS: 'lobby' }, 'PLENARY_GUEST_ROOMS: has no meaning'],
    ] as const) {
      expect(faultsOf(environment).join()).toContain(fault);
    }
  });

  it('[TK9] an API key may have several secrets, the newest first', () => {
    const [next, last] = [`next-${SECRET}`, `last-${SECRET}`];
    const { apiKeys } = readEdgeConfig({
      ...VALID,
      PLENARY_API_KEYS: `one:${next}, one:${last},two:${SECRET}`,
    });
    expect([...apiKeys]).toEqual([
      ['one', [next, last]],
      ['two', [SECRET]],
    ]);
    const same = faultsOf({ ...VALID, PLENARY_API_KEYS: `one:${SECRET},one:${SECRET}` });
    expect(same.join()).toContain('twice with one secret');
    const many = ['a', 'b', 'c', 'd', 'e'].map((letter) => `one:${letter}-${SECRET}`).join();
    expect(faultsOf({ ...VALID, PLENARY_API_KEYS: many }).join()).toContain('more than 4');
  });

  it('[TK23] key sets come from a file that is one, or a URL that nobody else can answer', () => {
    const folder = mkdtempSync(join(tmpdir(), 'plenary-config-'));
    const [good, bad] = [join(folder, 'good.json'), join(folder, 'bad.json')];
    writeFileSync(good, '{"keys":[]}');
    writeFileSync(bad, '{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}');
    const { PLENARY_API_KEYS: _none, ...withoutSecrets } = VALID;
    const settings = { ...withoutSecrets, PLENARY_TENANT_LIMITS: 'acme=5/5' };
    const text = `acme=${good},b=https://b.example/jwks.json,c=http://127.0.0.1:8080/k,d=http://[::1]/k`;
    expect([...readEdgeConfig({ ...settings, PLENARY_JOIN_KEYS: text }).keySets.values()]).toEqual([
      { path: good },
      { url: 'https://b.example/jwks.json' },
      { url: 'http://127.0.0.1:8080/k' },
      { url: 'http://[::1]/k' },
    ]);
    for (const source of [
      bad,
      '/nowhere',
      'http://b.example/k',
      'https://u:p@b.example/k',
      'ftp://b/k',
      'k.json',
    ])
      expect(faultsOf({ ...settings, PLENARY_JOIN_KEYS: `acme=${source}` }), source).not.toEqual([]);
    expect(faultsOf(withoutSecrets).join()).toContain('unless there is PLENARY_JOIN_KEYS');
    // Tokens of guests are signed by the edges themselves.
    const guests = faultsOf({ ...settings, PLENARY_JOIN_KEYS: text, PLENARY_GUESTS: 'on' });
    expect(guests.join()).toContain('needs a secret in PLENARY_API_KEYS');
    rmSync(folder, { recursive: true });
  });

  it('[RJ7] sites that embed the page are named one by one', () => {
    const origins = 'https://app.example, https://b.example:8443/';
    const { embedOrigins } = readEdgeConfig({ ...VALID, PLENARY_EMBED_ORIGINS: origins });
    expect(embedOrigins).toEqual(['https://app.example', 'https://b.example:8443']);
    expect(faultsOf({ ...VALID, PLENARY_EMBED_ORIGINS: '*' }).join()).toContain('any site');
  });

  it('[CF1] an IPv6 address may stand in URLs', () => {
    const url = 'https://[2001:DB8::0:1]:8443/';
    const config = readEdgeConfig({ ...VALID, PLENARY_PUBLIC_URL: url, PLENARY_ALLOWED_ORIGINS: url });
    expect(config.publicUrl).toBe('https://[2001:db8::1]:8443');
    expect(config.allowedOrigins).toEqual(new Set(['https://[2001:db8::1]:8443']));
  });

  it.each([
    ['https://example.org/meet', 'the path /meet'],
    ['https://example.org/meet/', 'the path /meet/'],
    ['https://example.org/?room=x', 'a query'],
    ['https://example.org?', 'a query'],
    ['https://example.org/#top', 'a fragment'],
    ['https://admin:hunter2@example.org', 'credentials'],
  ])('[CF6] the public URL %s is refused: it has %s', (url, part) => {
    const faults = faultsOf({ ...VALID, PLENARY_PUBLIC_URL: url });
    expect(faults).toEqual([
      expect.stringContaining(`PLENARY_PUBLIC_URL: has ${part}: an edge needs a host`),
    ]);
    expect(faults.join()).toContain('such as https://example.org');
    expect(faults.join()).not.toContain('hunter2');
  });

  it('[CF15] an allowed origin with a path, which no browser sends, is refused', () => {
    const faults = faultsOf({
      ...VALID,
      PLENARY_ALLOWED_ORIGINS: 'https://a.example/, https://b.example/app',
    });
    expect(faults).toEqual([expect.stringContaining('https://b.example has the path /app')]);
  });

  it('[AD3] more sockets than the file limit allows are refused, with the limit that is needed', () => {
    const many = { ...VALID, PLENARY_MAX_SOCKETS: '50000' };
    expect(() => readEdgeConfig(many, 768)).toThrow(/PLENARY_MAX_SOCKETS: .*allows 768 sockets.*50256/);
    expect(readEdgeConfig(many, 60_000).maxSockets).toBe(50_000);
    expect(readEdgeConfig(VALID, 768).maxSockets).toBe(768);
  });

  it('[CF6] a public URL may have a port, and a slash at its end', () => {
    const { publicUrl } = readEdgeConfig({ ...VALID, PLENARY_PUBLIC_URL: 'https://Meet.Example.org:8443/' });
    expect(publicUrl).toBe('https://meet.example.org:8443');
  });

  it.each(['PLENARY_PUBLIC_URL', 'PLENARY_ALLOWED_ORIGINS', 'PLENARY_EMBED_ORIGINS'])(
    '[CF18] an origin with a wildcard, which would match no page, is a fault of %s',
    (name) => {
      expect(faultsOf({ ...VALID, [name]: 'https://*.example.org' })).toEqual([
        expect.stringMatching(new RegExp(`^${name}: .*\\*`)),
      ]);
    },
  );

  it.each(['PLENARY_PUBLIC_URL', 'PLENARY_OPERATOR_URL'])(
    '[CF19] an unspecified address, which nobody reaches, is a fault of %s',
    (name) => {
      for (const url of ['http://0.0.0.0:3000', 'http://[::]:3000'])
        expect(faultsOf({ ...VALID, [name]: url })).toEqual([
          expect.stringMatching(new RegExp(`^${name}: .*nobody reaches an unspecified address`)),
        ]);
    },
  );

  it.each([`one:${SECRET};two:${SECRET}`, `one:${SECRET}; two:${SECRET}`, `one:${SECRET}|two:${SECRET}`])(
    '[CF20] API keys that are not joined by commas are not one secret: %j',
    (keys) => {
      const faults = faultsOf({ ...VALID, PLENARY_API_KEYS: keys });
      expect(faults).toEqual([expect.stringMatching(/^PLENARY_API_KEYS: pair 1 .*comma/)]);
      expect(faults.join()).not.toContain(SECRET);
    },
  );

  it('[CF22] nothing of a file that is no key set is repeated', () => {
    const folder = mkdtempSync(join(tmpdir(), 'plenary-edge-config-'));
    try {
      writeFileSync(join(folder, 'api_keys'), `hunter2${SECRET}`);
      const faults = faultsOf({ ...VALID, PLENARY_JOIN_KEYS: `one=${join(folder, 'api_keys')}` });
      expect(faults).toEqual([expect.stringMatching(/^PLENARY_JOIN_KEYS: one: .* is no key set .*not JSON/)]);
      expect(faults.join()).not.toContain('hunter2');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('[CF9] [CF22] a mistyped value is a fault that names its setting and repeats no secret, or is taken', () => {
    const names = Object.keys(EDGE_SETTINGS.shape);
    expect(mishandledSettings(names, VALID, (environment) => readEdgeConfig(environment))).toEqual([]);
  });

  it.each([
    '0.0.0.0/0',
    '::/0',
    '0.0.0.0/1',
    '8.0.0.0/8',
    '10.0.0.0/7',
    '192.0.0.0/8',
    '2000::/3',
    '2600::/12',
    '::ffff:0:0/96',
    '10.0.0.0/8,0.0.0.0/0',
  ])('[CF11] whoever is in a network of strangers can say that it is any client: %s', (text) => {
    const { weaknesses } = readEdgeConfig({ ...VALID, PLENARY_TRUSTED_PROXIES: text });
    expect(weaknesses).toEqual([
      expect.stringMatching(/^PLENARY_TRUSTED_PROXIES: .*name the addresses of your proxies/),
    ]);
  });

  it('[CF11] networks of one’s own, and those of content delivery networks, may be', () => {
    const text =
      '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,127.0.0.0/8,fc00::/7,fd00::/8,104.16.0.0/13,2a06:98c0::/29,2600:9000::/28';
    const own = readEdgeConfig({ ...VALID, PLENARY_TRUSTED_PROXIES: text });
    expect([own.trustedProxies.length, own.weaknesses]).toEqual([10, []]);
    expect(
      readEdgeConfig({ ...VALID, PLENARY_TRUSTED_PROXIES: '::ffff:10.1.0.0/112' }).trustedProxies,
    ).toEqual([{ address: '10.1.0.0', prefixLength: 16, family: 'ipv4' }]);
  });

  it('[CF12] a placeholder is no secret', () => {
    for (const guessed of ['CHANGE-ME-to-something-that-is-long', 'please-changeme-please-changeme-please']) {
      for (const [name, value] of [
        ['PLENARY_CLUSTER_SECRET', guessed],
        ['PLENARY_ADMIN_TOKEN', `${OTHER_SECRET}-of-operators,${guessed}`],
        ['PLENARY_API_KEYS', `one:${guessed}`],
      ] as const) {
        const faults = faultsOf({ ...VALID, [name]: value });
        expect(faults).toEqual([expect.stringMatching(new RegExp(`^${name}: .*take a random one`))]);
        expect(faults.join()).not.toContain(guessed);
      }
    }
  });

  it('[CF24] [CF25] a secret that is guessed, or has two purposes or tenants, is said', () => {
    for (const [settings, weakness] of [
      [{ PLENARY_CLUSTER_SECRET: 's'.repeat(32) }, /^PLENARY_CLUSTER_SECRET: .*easily guessed/],
      [{ PLENARY_ADMIN_TOKEN: '0123'.repeat(8) }, /^PLENARY_ADMIN_TOKEN: .*easily guessed/],
      [{ PLENARY_API_KEYS: `one:${'01'.repeat(16)}` }, /^PLENARY_API_KEYS \(one\): .*easily guessed/],
      [
        { PLENARY_API_KEYS: `one:${SECRET},two:${SECRET}` },
        /^PLENARY_API_KEYS \(two\): holds a secret of PLENARY_API_KEYS \(one\)/,
      ],
      [
        { PLENARY_CLUSTER_SECRET: SECRET },
        /^PLENARY_API_KEYS \(one\): holds a secret of PLENARY_CLUSTER_SECRET/,
      ],
      [
        { PLENARY_ADMIN_TOKEN: CLUSTER_SECRET },
        /^PLENARY_ADMIN_TOKEN: holds a secret of PLENARY_CLUSTER_SECRET/,
      ],
    ] as const) {
      const { weaknesses } = readEdgeConfig({ ...VALID, ...settings });
      expect(weaknesses).toEqual([expect.stringMatching(weakness)]);
      expect(weaknesses.join()).not.toContain(SECRET);
    }
    expect(readEdgeConfig(VALID).weaknesses).toEqual([]);
  });

  it('[CF13] tells every fault at once, and no secret', () => {
    const faults = faultsOf({
      PLENARY_PORT: '70000',
      PLENARY_PUBLIC_URL: 'ftp://x',
      REDIS_URL: 'http://x',
      PLENARY_CLUSTER_SECRET: 'short',
      PLENARY_API_KEYS: 'one:hunter2',
      PLENARY_GUESTS: 'yes',
      PLENARY_WEB_ROOT: '/does/not/exist',
      PLENARY_ALLOWED_ORIGINS: 'nowhere',
      PLENARY_TRUSTED_PROXIES: '10.0.0.0/99',
      PLENARY_MISSPELT: '1',
    });
    const names = new Set(faults.map((fault) => fault.split(':')[0]));
    expect([...names].sort()).toEqual([
      'PLENARY_ALLOWED_ORIGINS',
      'PLENARY_API_KEYS',
      'PLENARY_CLUSTER_SECRET',
      'PLENARY_DATACENTER',
      'PLENARY_GUESTS',
      'PLENARY_ID',
      'PLENARY_MISSPELT',
      'PLENARY_PORT',
      'PLENARY_PUBLIC_URL',
      'PLENARY_TRUSTED_PROXIES',
      'PLENARY_WEB_ROOT',
      'REDIS_URL',
    ]);
    expect(faults.join()).not.toContain('hunter2');
  });
});
