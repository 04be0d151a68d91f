import { describe, expect, it } from 'vitest';
import { SetupError } from './errors.mjs';
import { planSetup } from './plan.mjs';
import type { Facts, Purpose } from './plan.mjs';

/** Root on Debian 12 with Node 20, npm and nothing else: what a continuous integration machine looks like. */
const bareDebian12: Facts = {
  platform: 'linux',
  arch: 'x64',
  libc: { kind: 'glibc', version: '2.36' },
  nodeVersion: '20.20.2',
  isRoot: true,
  hasApt: true,
  isDebian: true,
  programs: {},
  goVersion: null,
  redisGiven: false,
  workerGiven: false,
  ready: {
    node: false,
    dependencies: false,
    worker: false,
    consul: false,
    k6: false,
    web: false,
    nodeUsesOwnGlibc: false,
  },
  hasWebApp: true,
};

const everyProgram = {
  'redis-server': true,
  chromium: true,
  'firefox-esr': true,
  caddy: true,
  nginx: true,
  haproxy: true,
  faketime: true,
  'fonts-liberation': true,
  patchelf: true,
};

const allReady: Facts = {
  ...bareDebian12,
  programs: everyProgram,
  ready: {
    node: true,
    dependencies: true,
    worker: true,
    consul: true,
    k6: true,
    web: true,
    nodeUsesOwnGlibc: true,
  },
};

const ids = (facts: Facts, purpose: Purpose) => planSetup(facts, purpose).map(({ id }) => id);

describe('planSetup', () => {
  it('does everything on a bare Debian 12, in an order in which each step finds what it needs', () => {
    expect(ids(bareDebian12, 'test')).toEqual([
      'packages',
      'node',
      'glibc',
      'dependencies',
      'worker',
      'consul',
      'k6',
      'web',
    ]);
  });

  it('does nothing where everything is in place', () => {
    expect(ids(allReady, 'test')).toEqual([]);
  });

  it('takes no special step on a current machine: only packages, worker and web app', () => {
    const current: Facts = {
      ...bareDebian12,
      libc: { kind: 'glibc', version: '2.41' },
      nodeVersion: '24.21.0',
      programs: everyProgram,
    };
    expect(ids(current, 'start')).toEqual(['node', 'dependencies', 'worker', 'web']);
    expect(planSetup(current, 'start')[0]?.detail).toBe("using this machine's 24.21.0");
  });

  it('needs neither worker nor packages for a check', () => {
    expect(ids({ ...bareDebian12, programs: { patchelf: true } }, 'base')).toEqual([
      'node',
      'glibc',
      'dependencies',
    ]);
  });

  it.each<[Purpose, string[]]>([
    ['base', ['patchelf']],
    ['start', ['redis-server', 'patchelf']],
    [
      'test',
      [
        'redis-server',
        'chromium',
        'firefox-esr',
        'caddy',
        'nginx-light',
        'haproxy',
        'faketime',
        'fonts-liberation',
        'patchelf',
      ],
    ],
  ])('installs for %s only %j', (purpose, packages) => {
    const step = planSetup(bareDebian12, purpose)[0];
    expect(step?.id === 'packages' ? step.packages : []).toEqual(packages);
  });

  it('asks no other distribution for the ESR of Firefox, whose tests are skipped there', () => {
    const without = { ...allReady, programs: { ...everyProgram, 'firefox-esr': false } };
    expect(ids(without, 'test')).toEqual(['packages']);
    expect(ids({ ...without, isDebian: false }, 'test')).toEqual([]);
    expect(ids({ ...without, hasApt: false }, 'test')).toEqual([]);
  });

  it('installs no Redis for a start that is given one, but does for the tests, which start their own', () => {
    const given = { ...bareDebian12, redisGiven: true, programs: { ...everyProgram, 'redis-server': false } };
    expect(ids(given, 'start')).not.toContain('packages');
    expect(ids(given, 'test')).toContain('packages');
  });

  it('leaves the glibc alone on musl and on a distribution whose keys do not vouch for Debian', () => {
    expect(ids({ ...allReady, libc: { kind: 'musl', version: '' } }, 'test')).toEqual([]);
    const ubuntu2204 = {
      ...allReady,
      isDebian: false,
      libc: { kind: 'glibc' as const, version: '2.35' },
      ready: { ...allReady.ready, nodeUsesOwnGlibc: false },
    };
    expect(ids(ubuntu2204, 'test')).toEqual([]);
  });

  it('replaces a Node that is too old or too new for uWebSockets.js', () => {
    for (const nodeVersion of ['18.20.0', '22.1.0', '26.0.0']) {
      const facts = { ...allReady, nodeVersion, ready: { ...allReady.ready, node: false } };
      expect(planSetup(facts, 'start')[0]?.detail).toMatch(/fetching 24/);
    }
  });

  it('fetches Consul for the tests only, and not where the machine has one', () => {
    const without = { ...allReady, ready: { ...allReady.ready, consul: false } };
    expect(ids(without, 'test')).toEqual(['consul']);
    expect(ids(without, 'start')).toEqual([]);
  });

  it('skips the web app while there is none', () => {
    expect(ids({ ...allReady, hasWebApp: false, ready: { ...allReady.ready, web: false } }, 'start')).toEqual(
      [],
    );
  });
});

describe('a machine that cannot be made ready', () => {
  const refusal = (facts: Facts, purpose: Purpose) => {
    try {
      planSetup(facts, purpose);
    } catch (error) {
      if (error instanceof SetupError) return error.message;
      throw error;
    }
    throw new Error('was planned');
  };

  it('is told the exact command where only root may install', () => {
    expect(refusal({ ...bareDebian12, isRoot: false }, 'start')).toContain(
      'sudo apt-get update && sudo apt-get install --no-install-recommends redis-server patchelf',
    );
  });

  it('is told what to install where there is no apt', () => {
    expect(refusal({ ...bareDebian12, hasApt: false }, 'start')).toContain('redis-server');
    expect(refusal({ ...bareDebian12, platform: 'darwin', hasApt: false }, 'start')).toContain('Homebrew');
  });

  it('is told of Consul where Debian’s does not fit', () => {
    const without = { ...allReady, ready: { ...allReady.ready, consul: false } };
    expect(refusal({ ...without, isDebian: false }, 'test')).toContain('Install Consul');
    expect(refusal({ ...without, libc: { kind: 'musl', version: '' } }, 'test')).toContain('Install Consul');
  });

  it('is told what it would take where the platform is not supported', () => {
    expect(refusal({ ...bareDebian12, platform: 'win32' }, 'base')).toContain('WSL 2');
    expect(refusal({ ...bareDebian12, arch: 'ia32' }, 'base')).toContain('x64 or arm64');
  });
});
