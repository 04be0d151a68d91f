import { THREADS } from '@plenary/cluster/thread-pool';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EDGE_SETTINGS, readEdgeConfig } from '../edge-signaling/src/config.ts';
import type { EdgeConfig } from '../edge-signaling/src/config.ts';
import { CONFIG_SCHEMA, loadConfig } from '../media-node/src/config.ts';
import type { MediaNodeConfig } from '../media-node/src/config.ts';
import { STOP_DEADLINE_MS } from '../media-node/src/lifecycle.ts';
import {
  identityOfSecrets,
  MEDIA_NODE_ID,
  NAMESPACE,
  adminKeyText,
  nodeKeyText,
  secretsIn,
} from '@plenary/cluster';
import type { PortSlice } from '@plenary/cluster';
import { interpolate, readComposeFile, readEnvFile, readImageFile } from './testing/compose-file.ts';
import type { ComposeFile, Service } from './testing/compose-file.ts';

const root = join(import.meta.dirname, '..');
const composePath = join(import.meta.dirname, 'compose.yaml');
const EDGE_IMAGE = 'deploy/images/edge-signaling.Dockerfile';
const MEDIA_NODE_IMAGE = 'deploy/images/media-node.Dockerfile';
/** The settings that a single machine with one Redis leaves out, with the reason. */
const BOTH_DO_WITHOUT = [
  {
    why: 'one Redis, by its URL',
    settings: [
      'PLENARY_REDIS_SENTINELS',
      'PLENARY_REDIS_CLUSTER',
      'PLENARY_REDIS_SENTINEL_NAME',
      'PLENARY_REDIS_SENTINEL_USERNAME',
      'PLENARY_REDIS_SENTINEL_PASSWORD',
      'PLENARY_REDIS_USERNAME',
      'PLENARY_REDIS_PASSWORD',
      'PLENARY_REDIS_TLS',
      'PLENARY_REDIS_NAT_MAP',
    ],
  },
  { why: 'the registry is in Redis', settings: ['CONSUL_HTTP_ADDR', 'CONSUL_HTTP_TOKEN'] },
  {
    why: 'operators and control links are on loopback',
    settings: [
      'PLENARY_OPERATOR_HOST',
      'PLENARY_OPERATOR_URL',
      'PLENARY_TLS_CERT',
      'PLENARY_TLS_KEY',
      'PLENARY_TLS_CA',
    ],
  },
  { why: 'each process has a key of its own instead', settings: ['PLENARY_ADMIN_TOKEN'] },
  { why: 'the defaults are meant', settings: ['PLENARY_LOG_LEVEL', 'PLENARY_LEASE_MS', 'PLENARY_DRAIN_MS'] },
];
const EDGES_DO_WITHOUT = [
  ...BOTH_DO_WITHOUT,
  {
    why: 'the defaults are meant',
    settings: [
      'PLENARY_HTTP_SERVER',
      'PLENARY_MAX_PEERS_PER_ROOM',
      'PLENARY_PACKING_LIMIT',
      'PLENARY_ROOM_PEERS_PER_NODE',
      'PLENARY_JOINS_PER_NODE',
      'PLENARY_DATACENTER_ORDER',
      'PLENARY_RESUME_WITHIN_MS',
      'PLENARY_MAX_SOCKETS',
      'PLENARY_SOCKETS_PER_ADDRESS',
      'PLENARY_CONNECTS_PER_ADDRESS',
    ],
  },
];
const MEDIA_NODES_DO_WITHOUT = [
  ...BOTH_DO_WITHOUT,
  { why: 'a key of its own instead', settings: ['PLENARY_CLUSTER_SECRET'] },
  { why: 'pipes stay on this machine', settings: ['PLENARY_PIPE_ADDRESS', 'PLENARY_PIPE_SCOPE'] },
  { why: 'slices are given', settings: ['PLENARY_PORT_RANGE', 'PLENARY_PORT_SLICE_SIZE'] },
  { why: 'the image sets it', settings: ['MEDIASOUP_WORKER_BIN'] },
  {
    why: 'the defaults are meant',
    settings: [
      'PLENARY_MAX_PEERS',
      'PLENARY_MAX_OUTGOING_MBIT',
      'PLENARY_MAX_PACKETS_PER_SECOND',
      'PLENARY_MAX_INCOMING_KBIT',
      'PLENARY_MAX_SOURCE_KBIT',
      'PLENARY_PIPE_LINGER_MS',
      'PLENARY_ORPHAN_GRACE_MS',
    ],
  },
];
const variables = readEnvFile(join(import.meta.dirname, '.env.example'));

/** A separate program makes each key, and takes its time to start. */
const PROGRAMS_TIMEOUT_MS = 120_000;

let secretsFolder = '';
let file: ComposeFile;

beforeAll(() => {
  secretsFolder = mkdtempSync(join(tmpdir(), 'plenary-secrets-'));
  makeSecrets(secretsFolder, PROCESSES);
  file = readComposeFile(composePath, variables);
}, PROGRAMS_TIMEOUT_MS);
afterAll(() => {
  rmSync(secretsFolder, { recursive: true, force: true });
});

/** Sets the site up as its comments say, with this tree's plenaryctl instead of the image's. */
function makeSecrets(
  folder: string,
  processes: readonly string[],
  env: Readonly<Record<string, string>> = {},
): string {
  const program = `${process.execPath} ${join(import.meta.dirname, 'plenaryctl/main.ts')}`;
  return execFileSync('sh', [join(import.meta.dirname, 'make-secrets.sh'), folder, ...processes], {
    encoding: 'utf8',
    stdio: 'pipe',
    env: { ...process.env, PLENARYCTL: program, ...env },
  });
}

/** The processes that compose.yaml's comment names. */
const PROCESSES = [
  ...(/make-secrets\.sh deploy\/secrets (.*)$/m.exec(readFileSync(composePath, 'utf8'))?.[1] ?? '').split(
    ' ',
  ),
];

/** The services that are built from an image file. */
function builtFrom(imageFile: string): [string, Service][] {
  return Object.entries(file.services).filter(([, service]) => service.build?.dockerfile === imageFile);
}

/**
 * The environment of a process in the container: the service's over the image's, with paths of the container replaced by
 * the paths behind them here.
 */
function environmentOf(service: Service): Record<string, string> {
  const image = readImageFile(join(root, service.build?.dockerfile ?? ''));
  const merged = { ...image.environment, ...service.environment };
  return Object.fromEntries(
    Object.entries(merged).map(([name, value]) => {
      const secret = /^\/run\/secrets\/(.+)$/.exec(value)?.[1];
      if (secret === undefined) return [name, value.replace(/^\/app\/web\/dist$/, secretsFolder)];
      if (!service.secrets.includes(secret))
        throw new Error(`${name} names a secret that is not mounted: ${secret}`);
      return [name, join(secretsFolder, secret)];
    }),
  );
}

const edges = (): [string, EdgeConfig][] =>
  builtFrom(EDGE_IMAGE).map(([name, service]) => [name, readEdgeConfig(environmentOf(service))]);
const mediaNodes = (): [string, MediaNodeConfig][] =>
  builtFrom(MEDIA_NODE_IMAGE).map(([name, service]) => [name, loadConfig(environmentOf(service))]);

function sliceOf({ sliceSource }: MediaNodeConfig): PortSlice {
  if (sliceSource.kind !== 'explicit') throw new Error('the firewall is opened for explicit slices');
  return sliceSource.portSlice;
}

describe('compose.yaml against the programs that it starts', () => {
  it('has two edges and two media nodes, each in a datacenter of its own and named like its service', () => {
    for (const nodes of [edges(), mediaNodes()]) {
      expect(nodes.map(([, config]) => config.datacenter)).toEqual(['gra', 'sbg']);
    }
    for (const [name, config] of edges()) expect(config.edgeId).toBe(name);
    for (const [name, config] of mediaNodes()) expect(config.mediaNodeId).toBe(name);
  });

  it('gives every process keys of the same cluster secret, and the same Redis as its kind of user', () => {
    const configs = [...edges(), ...mediaNodes()].map(([, config]) => config);
    const believed = [
      ...edges().map(([, { clusterSecrets, edgeId: id }]) =>
        identityOfSecrets(clusterSecrets, { kind: 'edge', id }),
      ),
      ...mediaNodes().map(([, { identity }]) => identity),
    ].map(({ authorities }) => [...authorities.keys()].join());
    expect(new Set(believed).size).toBe(1);
    const stores = configs.map(({ storeAddress }) =>
      JSON.stringify(storeAddress).replaceAll(/plenary-[a-z-]+:[^@]+@/g, ''),
    );
    expect(new Set(stores).size).toBe(1);
    expect(JSON.stringify(edges()[0]?.[1].storeAddress)).toContain('plenary-edge:');
    expect(JSON.stringify(mediaNodes()[0]?.[1].storeAddress)).toContain('plenary-media-node:');
  });

  it('[KY3] [OP5] gives media nodes no secret but keys of their own, and the admin token to nobody', () => {
    for (const [name, service] of builtFrom(MEDIA_NODE_IMAGE)) {
      expect(service.secrets, name).toEqual([
        'redis_url_media_node',
        `node_key_${name}`,
        `admin_key_media-node_${name}`,
      ]);
    }
    for (const [name, { operators }] of edges()) {
      expect(operators.adminSecrets, name).toHaveLength(1);
      expect(typeof operators.adminSecrets?.[0], name).toBe('object');
    }
    expect(Object.keys(file.secrets)).not.toContain('admin_token');
  });

  it.each([
    ['edges', EDGE_IMAGE, EDGE_SETTINGS.shape, EDGES_DO_WITHOUT],
    ['media nodes', MEDIA_NODE_IMAGE, CONFIG_SCHEMA.shape, MEDIA_NODES_DO_WITHOUT],
  ] as const)(
    'passes every setting on to the %s, or leaves it out on purpose',
    (_who, image, shape, without) => {
      for (const [name, service] of builtFrom(image)) {
        const passed = Object.keys(service.environment).map((variable) => variable.replace(/_FILE$/, ''));
        const known = Object.keys(shape).map((variable) => variable.replace(/_FILE$/, ''));
        const left = without.flatMap(({ settings }) => settings);
        expect([...passed, ...left].sort(), name).toEqual(known.sort());
      }
    },
  );

  it('fails on a setting that a process does not have, and on one that it misses', () => {
    const [, service] = builtFrom(EDGE_IMAGE)[0] ?? [];
    if (service === undefined) throw new Error('no edge');
    const { PLENARY_ID, ...without } = environmentOf(service);
    expect(() => readEdgeConfig({ ...without, PLENARY_ID, PLENARY_PORTS: '1' })).toThrow(/PLENARY_PORTS/);
    expect(() => readEdgeConfig(without)).toThrow(/PLENARY_ID: is required/);
  });

  it('gives every process ports of its own, and no two media nodes share one of their slices', () => {
    const control = [...edges(), ...mediaNodes()]
      .flatMap(([, { port, operators }]) => [port, operators.port])
      .map((port) => [port, port] as const);
    const slices = mediaNodes().map(
      ([, config]) => [sliceOf(config).firstPort, sliceOf(config).lastPort] as const,
    );
    // Redis, Caddy's HTTP, HTTPS and administration.
    const others = [6379, 80, 443, 2019].map((port) => [port, port] as const);
    const ranges = [...control, ...slices, ...others].sort(([left], [right]) => left - right);
    for (const [index, [first]] of ranges.entries()) {
      const before = ranges[index - 1];
      if (before !== undefined)
        expect(first, `${first} after ${before.join('-')}`).toBeGreaterThan(before[1]);
    }
  });

  it('keeps the slices out of the range that Linux hands to outgoing connections (32768 to 60999)', () => {
    for (const [, config] of mediaNodes()) expect(sliceOf(config).lastPort).toBeLessThan(32_768);
  });

  it('gives each process the time to drain before it is killed', () => {
    for (const [imageFile, drainsMs] of [
      [EDGE_IMAGE, edges().map(([, { drainMs }]) => drainMs)],
      [MEDIA_NODE_IMAGE, mediaNodes().map(([, { drainMs }]) => drainMs)],
    ] as const) {
      for (const [name, { stop_grace_period: grace }] of builtFrom(imageFile)) {
        expect(Number.parseInt(grace, 10) * 1_000, name).toBeGreaterThanOrEqual(
          Math.max(...drainsMs) + STOP_DEADLINE_MS,
        );
      }
    }
  });

  it('[LC1] lets each process hear SIGTERM from its beginning: it is not the first one of its container', () => {
    for (const [name, service] of [...builtFrom(EDGE_IMAGE), ...builtFrom(MEDIA_NODE_IMAGE)])
      expect(service.init, name).toBe(true);
    const starts = readFileSync(join(root, 'HA_SETUP.md'), 'utf8').match(
      /^docker run --detach [^]*?[^\\]$/gm,
    );
    expect(starts?.length).toBe(2);
    for (const start of starts ?? []) expect(start).toContain(' --init ');
  });

  it('asks each process for its liveness by the program that its image has for it', () => {
    for (const [name, service] of [...builtFrom(EDGE_IMAGE), ...builtFrom(MEDIA_NODE_IMAGE)]) {
      expect(service.healthcheck.test, name).toEqual(['CMD', 'node', '/app/healthcheck.mjs']);
    }
  });

  it('[OP1] answers operators on this machine only', () => {
    for (const [, { operators }] of [...edges(), ...mediaNodes()]) expect(operators.host).toBe('127.0.0.1');
  });

  it('points Caddy at exactly the edges, by the names that Caddyfile.ha.example has', () => {
    const caddy = file.services['caddy'];
    const addresses = edges().map(([, config]) => `127.0.0.1:${config.port}`);
    expect(caddy?.environment['PLENARY_NEAR_EDGES']?.split(' ')).toEqual(addresses);
    expect(caddy?.environment['PLENARY_ALL_EDGES']?.split(' ')).toEqual(addresses);
    expect(caddy?.volumes).toContain('../Caddyfile.ha.example:/etc/caddy/Caddyfile:ro');
    for (const [, config] of edges()) {
      expect(config.publicUrl).toBe(`https://${caddy?.environment['PLENARY_SITE']}`);
      expect(config.trustedProxies.map(({ address }) => address)).toContain('127.0.0.1');
    }
  });

  it('defines every secret that it mounts, mounts every one that it defines, and make-secrets.sh makes each', () => {
    const mounted = new Set(Object.values(file.services).flatMap(({ secrets }) => secrets));
    expect([...mounted].sort()).toEqual(Object.keys(file.secrets).sort());
    for (const [name, { file: path }] of Object.entries(file.secrets)) {
      expect(path).toBe(`./secrets/${name}`);
      expect(existsSync(join(secretsFolder, name)), name).toBe(true);
    }
  });

  it('has no secret in the environment of any service', () => {
    for (const service of Object.values(file.services)) {
      for (const name of [
        'PLENARY_CLUSTER_SECRET',
        'PLENARY_NODE_KEY',
        'PLENARY_ADMIN_TOKEN',
        'PLENARY_ADMIN_KEY',
        'PLENARY_API_KEYS',
        'REDIS_URL',
      ]) {
        expect(service.environment).not.toHaveProperty(name);
      }
    }
  });
});

describe('the image files', () => {
  it.each([EDGE_IMAGE, MEDIA_NODE_IMAGE])(
    '%s starts a program of this repository as its own user',
    (path) => {
      const image = readImageFile(join(root, path));
      const [program, script = '', ...rest] = image.command;
      expect([program, rest]).toEqual(['node', []]);
      expect(existsSync(join(root, script)), script).toBe(true);
      expect(image.user).toBe('10001:10001');
      expect(image.environment).toMatchObject(THREADS);
      expect(image.healthcheck).toEqual(['node', '/app/healthcheck.mjs']);
      expect(image.copied).toContain('deploy/images/healthcheck.mjs');
      for (const copied of image.copied) expect(existsSync(join(root, copied)), copied).toBe(true);
    },
  );

  it('are each used by compose.yaml, from the repository’s root', () => {
    for (const path of [EDGE_IMAGE, MEDIA_NODE_IMAGE]) {
      expect(builtFrom(path).length).toBeGreaterThan(0);
      for (const [, service] of builtFrom(path)) expect(service.build?.context).toBe('..');
    }
  });
});

describe('make-secrets.sh', () => {
  it('keeps what is there, and refuses to make half of a pair', () => {
    const folder = join(secretsFolder, 'again');
    const make = (): string => makeSecrets(folder, []);
    mkdirSync(folder);
    expect(make().match(/^wrote /gm)).toHaveLength(7);
    expect(make().match(/^kept /gm)).toHaveLength(7);
    rmSync(join(folder, 'redis_url'));
    expect(make).toThrow(/they share passwords/);
  });

  it(
    '[OP5] makes each process the key of its kind, where an edge and a media node have one name',
    () => {
      const folder = join(secretsFolder, 'namesakes');
      makeSecrets(folder, ['edge/a', 'media-node/a']);
      const token = readFileSync(join(folder, 'admin_token'), 'utf8').trim();
      for (const kind of ['edge', 'media-node'] as const) {
        const key = readFileSync(join(folder, `admin_key_${kind}_a`), 'utf8').trim();
        expect(key).toBe(adminKeyText(token, { kind, id: 'a' }));
      }
    },
    PROGRAMS_TIMEOUT_MS,
  );

  it('[KY4] gives Redis a user for each kind of process, and each kind the address with its user', () => {
    const conf = readFileSync(join(secretsFolder, 'redis_conf'), 'utf8');
    expect(conf).not.toContain('CHANGE-ME');
    for (const [kind, name] of [
      ['edge', 'redis_url'],
      ['media-node', 'redis_url_media_node'],
      ['operator', 'redis_url_operator'],
    ] as const) {
      const { username, password } = new URL(readFileSync(join(secretsFolder, name), 'utf8').trim());
      const shipped = readFileSync(join(import.meta.dirname, `redis/users/${kind}.conf`), 'utf8');
      const rules = /^user .*$/m.exec(shipped)?.[0].replace(`CHANGE-ME-${kind}`, password);
      expect(username).toBe(`plenary-${kind}`);
      expect(password).toMatch(/^[A-Za-z0-9]{48}$/);
      expect(conf.split('\n')).toContain(rules);
    }
  });

  it(
    '[NS1] [KY4] gives the users of a cluster with a namespace the keys and channels of that namespace',
    () => {
      const folder = join(secretsFolder, 'staging');
      makeSecrets(folder, ['media-node/media-1'], { PLENARY_NAMESPACE: 'staging' });
      const conf = readFileSync(join(folder, 'redis_conf'), 'utf8');
      expect(conf).toMatch(/^user plenary-edge .* ~staging:\* &staging:\* /m);
      expect(conf).not.toMatch(/[~&]plenary:/);
      const [secret, key] = ['cluster_secret', 'node_key_media-1'].map((name) =>
        readFileSync(join(folder, name), 'utf8').trim(),
      );
      const [ofNamespace] = secretsIn(NAMESPACE.parse('staging'), [secret ?? '']);
      expect(key).toBe(nodeKeyText(ofNamespace, MEDIA_NODE_ID.parse('media-1')));
    },
    PROGRAMS_TIMEOUT_MS,
  );
});

describe('interpolation, as compose does it', () => {
  it('fills in values and defaults, and says what is missing', () => {
    expect(interpolate('${A} ${B:-two} ${A:?x}', { A: 'one' })).toBe('one two one');
    expect(() => interpolate('${A:?Set A}', {})).toThrow('A is not set (Set A)');
    expect(() => interpolate('costs $5', {})).toThrow('A $ without a variable');
  });
});
