import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { fixturePrograms } from '../testing/fixtures.ts';
import { startLocalCluster } from './index.ts';
import type { ClusterEvent, ClusterFile, LocalCluster, LocalClusterOptions } from './index.ts';
import { waitUntilGone } from './leftovers.ts';
import { isTcpPortFree } from './ports.ts';

const started: LocalCluster[] = [];
const folders: string[] = [];

async function start(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const cluster = await startLocalCluster({ programs: fixturePrograms, web: false, ...options });
  started.push(cluster);
  return cluster;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'plenary-runner-test-'));
  folders.push(folder);
  return folder;
}

function readClusterFile(path: string): ClusterFile {
  return JSON.parse(readFileSync(path, 'utf8')) as ClusterFile;
}

function isAlive(pid: number): boolean {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  return stat !== '' && !/^\d+ \(.*\) Z /s.test(stat);
}

async function until(what: string, condition: () => boolean, timeoutMs = 100_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for: ${what}`);
    await sleep(20);
  }
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((cluster) => cluster.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe('a local cluster', () => {
  it('has two edges and two media nodes in two datacenters, each with a slice of its own', async () => {
    const cluster = await start();
    expect(cluster.edges.map(({ id }) => id)).toEqual(['edge-gra-1', 'edge-sbg-1']);
    expect(cluster.mediaNodes.map(({ id }) => id)).toEqual(['media-gra-1', 'media-sbg-1']);
    const [first, second] = cluster.mediaNodes.map(({ portSlice }) => portSlice);
    expect(first?.last).toBeLessThan(second?.first ?? 0);
    for (const node of [...cluster.edges, ...cluster.mediaNodes]) {
      expect((await fetch(`${node.operatorUrl}/ready`)).status).toBe(200);
    }
  });

  it('hands each process its settings, and nothing of ours that it does not know', async () => {
    process.env['PLENARY_STRAY'] = 'from a shell';
    try {
      const cluster = await start({
        mediaNode: (index) => (index === 1 ? { env: { PLENARY_WORKERS: '3' }, datacenter: 'waw' } : {}),
      });
      const env = async (url: string) => (await (await fetch(`${url}/env`)).json()) as Record<string, string>;
      const edge = await env(cluster.edges[0]?.url ?? '');
      expect(edge['PLENARY_STRAY']).toBeUndefined();
      expect(edge['REDIS_URL']).toBe(cluster.redisUrl);
      expect(edge['PLENARY_API_KEYS']).toBe(`${cluster.apiKey}:${cluster.apiSecret}`);
      expect(edge['PLENARY_PUBLIC_URL']).toBe(cluster.edges[0]?.publicUrl);
      const node = cluster.mediaNodes[1];
      const media = await env(node?.url ?? '');
      expect(media['PLENARY_ID']).toBe('media-waw-1');
      expect(media['PLENARY_WORKERS']).toBe('3');
      expect(media['PLENARY_PORT_SLICE']).toBe(`${node?.portSlice.first}-${node?.portSlice.last}`);
      expect(media['PLENARY_API_KEYS']).toBeUndefined();
      expect(media['PLENARY_CLUSTER_SECRET']).toBeUndefined();
      expect(media['PLENARY_ADMIN_TOKEN']).toBeUndefined();
      expect(media['PLENARY_NODE_KEY']).toContain('media-waw-1');
    } finally {
      delete process.env['PLENARY_STRAY'];
    }
  });

  it('names every process in cluster.json, without a secret, and removes it at the stop', async () => {
    const dataDir = temporaryFolder();
    const cluster = await start({ dataDir });
    const text = readFileSync(cluster.clusterFile, 'utf8');
    const file = readClusterFile(cluster.clusterFile);
    expect(file.processes.map(({ kind }) => kind)).toEqual([
      'redis',
      'edge',
      'edge',
      'media-node',
      'media-node',
    ]);
    for (const { pid } of file.processes) expect(isAlive(pid ?? 0)).toBe(true);
    for (const secret of [cluster.clusterSecret, cluster.apiSecret]) expect(text).not.toContain(secret);
    expect(statSync(file.credentialsFile).mode & 0o777).toBe(0o600);
    await cluster.stop();
    expect(existsSync(cluster.clusterFile)).toBe(false);
    expect(existsSync(file.credentialsFile)).toBe(false);
    expect(existsSync(join(dataDir, 'redis'))).toBe(false);
  });

  it('leaves no process, no port and no folder when it stops', async () => {
    const cluster = await start();
    const file = readClusterFile(cluster.clusterFile);
    await cluster.stop();
    for (const { pid } of file.processes) expect(isAlive(pid ?? 0)).toBe(false);
    for (const { url } of file.processes) {
      expect(await isTcpPortFree(Number(new URL(url).port), '127.0.0.1')).toBe(true);
    }
    expect(existsSync(cluster.dataDir)).toBe(false);
  });

  it('says which process stayed behind when one does, and kills it', async () => {
    const cluster = await startLocalCluster({
      programs: fixturePrograms,
      web: false,
      edges: 0,
      mediaNodes: 1,
      env: { FIXTURE_LEAVE_WORKER: '1' },
    });
    await expect(cluster.stop()).rejects.toThrow(/stayed behind[\s\S]*sleep 1000/);
  });

  it('kills a process that does not heed SIGTERM', async () => {
    const cluster = await start({
      edges: 1,
      mediaNodes: 0,
      stopTimeoutMs: 500,
      env: { FIXTURE_IGNORE_SIGTERM: '1' },
    });
    const pid = cluster.edges[0]?.pid ?? 0;
    await cluster.stop();
    expect(isAlive(pid)).toBe(false);
  });

  it('starts each process in a group of its own, so that Ctrl-C in a terminal reaches the launcher alone', async () => {
    const cluster = await start({ edges: 1, mediaNodes: 1 });
    const pids = [...cluster.edges, ...cluster.mediaNodes].map(({ pid }) => pid);

    // The group is the third field behind the program's name (proc_pid_stat(5)).
    const stats = pids.map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'));
    const groups = stats.map((stat) => Number(stat.split(') ')[1]?.split(' ')[2]));

    expect(groups).toEqual(pids);
  });

  it('thaws a frozen process to let it stop', async () => {
    // A machine that stands still may not take the frozen one for one that does not heed.
    const cluster = await start({ edges: 0, mediaNodes: 1, stopTimeoutMs: 60_000 });
    await cluster.mediaNodes[0]?.kill('SIGSTOP');
    await cluster.stop();
    expect(cluster.mediaNodes[0]?.logs().join('\n')).toContain('stopping: SIGTERM');
  });

  it('tells of a process that dies, with its last lines, and keeps the rest up', async () => {
    const events: ClusterEvent[] = [];
    const cluster = await start({ onEvent: (event) => events.push(event) });
    const victim = cluster.edges[0];
    await fetch(`${victim?.url}/crash`).catch(() => undefined);
    await until('the exit event', () => events.some(({ type }) => type === 'exit'));
    const exit = events.find((event) => event.type === 'exit');
    expect(exit).toMatchObject({ id: 'edge-gra-1', kind: 'edge', how: 'was ended by SIGSEGV' });
    expect(exit?.lastLines.join('\n')).toContain('about to crash');
    expect(victim?.pid).toBeNull();
    expect((await fetch(`${cluster.edges[1]?.operatorUrl}/ready`)).status).toBe(200);
    expect(
      readClusterFile(cluster.clusterFile).processes.find(({ id }) => id === 'edge-gra-1')?.pid,
    ).toBeNull();
  });

  it('kills a process without calling that unexpected, and starts it again on its port', async () => {
    const events: ClusterEvent[] = [];
    const cluster = await start({ onEvent: (event) => events.push(event) });
    const node = cluster.mediaNodes[0];
    const before = node?.pid;
    await node?.kill('SIGKILL');
    expect(node?.pid).toBeNull();
    await node?.restart();
    expect(node?.pid).not.toBe(before);
    expect((await fetch(`${node?.operatorUrl}/ready`)).status).toBe(200);
    await cluster.redis?.kill('SIGKILL');
    await cluster.redis?.restart();
    expect(events.filter(({ type }) => type === 'exit')).toEqual([]);
  });

  it('runs beside others without sharing a port', async () => {
    const clusters = await Promise.all([start({ edges: 1 }), start({ edges: 1 }), start({ edges: 1 })]);
    const ports = clusters.flatMap((cluster) => [
      cluster.redisUrl,
      ...cluster.edges.map(({ url }) => url),
      ...cluster.mediaNodes.map(({ url }) => url),
      ...cluster.mediaNodes.map(({ portSlice }) => portSlice.first),
    ]);
    expect(new Set(ports).size).toBe(ports.length);
  });

  it('uses a Redis that is there', async () => {
    const first = await start({ edges: 0, mediaNodes: 0 });
    const second = await start({ edges: 1, mediaNodes: 0, redisUrl: first.redisUrl });
    expect(second.redis).toBeNull();
    expect(second.redisUrl).toBe(first.redisUrl);
  });
});

describe('a start that fails', () => {
  it('names a taken port, who holds it and what to do', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const port = (server.address() as AddressInfo).port;
    try {
      await expect(
        start({
          ports: { edges: port, control: 21_100, operators: 21_150, rtp: 21_200 },
          dataDir: temporaryFolder(),
        }),
      ).rejects.toThrow(
        new RegExp(`Port ${port}, where edge-gra-1 .* by process ${process.pid} [\\s\\S]*--port`),
      );
    } finally {
      server.close();
    }
  });

  it('names a taken port of a slice', async () => {
    const socket = createSocket('udp4').bind(21_350, '127.0.0.1');
    await new Promise((resolve) => socket.once('listening', resolve));
    try {
      await expect(
        start({
          ports: { edges: 21_000, control: 21_100, operators: 21_150, rtp: 21_200 },
          dataDir: temporaryFolder(),
        }),
      ).rejects.toThrow(/UDP port 21350 of media-sbg-1's slice \(21300 to 21399\) is taken by process/);
    } finally {
      socket.close();
    }
  });

  it('shows what a process said that did not start, and leaves nothing', async () => {
    const dataDir = temporaryFolder();
    const faulty = start({
      dataDir,
      edge: (index) => (index === 1 ? { env: { FIXTURE_FAULT: 'no such moon' } } : {}),
    });
    await expect(faulty).rejects.toThrow(/edge-sbg-1 did not start: it exited with 1\.[\s\S]*no such moon/);
    expect(existsSync(join(dataDir, 'cluster.json'))).toBe(false);
  });

  it('says what a process that is not ready answers', async () => {
    await expect(
      // Long enough for a process to listen, on a machine that stands still for a while too.
      start({ edges: 1, mediaNodes: 0, env: { FIXTURE_NOT_READY: '1' }, readyTimeoutMs: 8_000 }),
    ).rejects.toThrow(/edge-gra-1 is not ready in time.*503 waiting for the moon/);
  });

  it('refuses a data folder on which a cluster runs', async () => {
    const dataDir = temporaryFolder();
    const { pid } = spawnSleeper();
    try {
      const { writeFileSync } = await import('node:fs');
      writeFileSync(join(dataDir, 'cluster.json'), JSON.stringify({ pid }));
      await expect(start({ dataDir })).rejects.toThrow(
        new RegExp(`runs already on ${dataDir} \\(process ${pid}`),
      );
    } finally {
      process.kill(pid ?? 0, 'SIGKILL');
    }
  });

  it('can be stopped while it is under way', async () => {
    const abort = new AbortController();
    const starting = start({ env: { FIXTURE_NOT_READY: '1' }, abort: abort.signal });
    setTimeout(() => abort.abort(), 300);
    await expect(starting).rejects.toThrow(/was stopped/);
  });
});

describe('a killed runner', () => {
  it('leaves no process behind, even when it is killed outright', async () => {
    const script = fileURLToPath(new URL('../testing/start-fixture-cluster.ts', import.meta.url));
    const mark = `runner-${process.pid}-${Date.now()}`;
    const runner = spawn(process.execPath, [script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, RUNNER_TEST: mark },
    });
    const path = await new Promise<string>((resolve) => {
      runner.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()));
    });
    const pids = readClusterFile(path).processes.map(({ pid }) => pid ?? 0);
    expect(pids).toHaveLength(5);
    runner.kill('SIGKILL');
    expect(await waitUntilGone('RUNNER_TEST', mark, 60_000)).toEqual([]);
    for (const pid of pids) expect(isAlive(pid)).toBe(false);
    rmSync(join(path, '..'), { recursive: true, force: true });
  });
});

function spawnSleeper() {
  return spawn('sleep', ['60'], { stdio: 'ignore' });
}
