import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEdgeConfig } from '../edge-signaling/src/config.ts';
import type { EdgeConfig } from '../edge-signaling/src/config.ts';
import { loadConfig } from '../media-node/src/config.ts';
import type { MediaNodeConfig } from '../media-node/src/config.ts';
import { identityOfSecrets } from '@plenary/cluster';
import type { PortSlice } from '@plenary/cluster';
import { interpolate, readComposeFile, readEnvFile, readImageFile } from './testing/compose-file.ts';
import type { ComposeFile, Service } from './testing/compose-file.ts';

const root = join(import.meta.dirname, '..');
const composePath = join(import.meta.dirname, 'compose.yaml');
const EDGE_IMAGE = 'deploy/images/edge-signaling.Dockerfile';
const MEDIA_NODE_IMAGE = 'deploy/images/media-node.Dockerfile';
const variables = readEnvFile(join(import.meta.dirname, '.env.example'));

let secretsFolder = '';
let file: ComposeFile;

beforeAll(() => {
  secretsFolder = mkdtempSync(join(tmpdir(), 'plenary-secrets-'));
  execFileSync('sh', [join(import.meta.dirname, 'make-secrets.sh'), secretsFolder]);
  file = readComposeFile(composePath, variables);
});
afterAll(() => {
  rmSync(secretsFolder, { recursive: true, force: true });
});

/** The services that are built from an image file. */
function builtFrom(imageFile: string): [string, Service][] {
  return Object.entries(file.services).filter(([, service]) => service.build?.dockerfile === imageFile);
}

/**
 * What a process in the container gets: the image's environment, the service's over it, and paths that exist in the
 * container replaced by what lies behind them here.
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

  it('gives every process the same cluster secret and the same Redis', () => {
    const configs = [...edges(), ...mediaNodes()].map(([, config]) => config);
    const believed = [
      ...edges().map(([, { clusterSecrets, edgeId: id }]) =>
        identityOfSecrets(clusterSecrets, { kind: 'edge', id }),
      ),
      ...mediaNodes().map(([, { identity }]) => identity),
    ].map(({ authorities }) => [...authorities.keys()].join());
    expect(new Set(believed).size).toBe(1);
    expect(new Set(configs.map((config) => JSON.stringify(config.storeAddress))).size).toBe(1);
  });

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
          Math.max(...drainsMs) + 5_000,
        );
      }
    }
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
      for (const name of ['PLENARY_CLUSTER_SECRET', 'PLENARY_API_KEYS', 'REDIS_URL']) {
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
    const make = () =>
      execFileSync('sh', [join(import.meta.dirname, 'make-secrets.sh'), folder], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
    mkdirSync(folder);
    expect(make().match(/^wrote /gm)).toHaveLength(5);
    expect(make().match(/^kept /gm)).toHaveLength(5);
    rmSync(join(folder, 'redis_url'));
    expect(make).toThrow(/they share a password/);
  });
});

describe('interpolation, as compose does it', () => {
  it('fills in values and defaults, and says what is missing', () => {
    expect(interpolate('${A} ${B:-two} ${A:?x}', { A: 'one' })).toBe('one two one');
    expect(() => interpolate('${A:?Set A}', {})).toThrow('A is not set (Set A)');
    expect(() => interpolate('costs $5', {})).toThrow('A $ without a variable');
  });
});
