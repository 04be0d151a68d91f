import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { createSocket } from 'node:dgram';
import { DEFAULT_NAMESPACE, connectClusterStore, silentLogger } from '@plenary/cluster';
import { FULL_DISK } from '@plenary/cluster/testing/full-outputs';
import { spoilStore } from '@plenary/cluster/testing/spoiled-store';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { urlOfUser } from '@plenary/cluster/testing/redis-users';
import type { TestRedis } from '@plenary/cluster/testing/redis-server';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isReady, loggedBy, startNodeProcess } from './testing/node-process.ts';
import type { NodeProcess } from './testing/node-process.ts';
import { testConfig } from './testing/test-node.ts';
import type { TestConfig } from './testing/test-node.ts';
import { waitFor } from '@plenary/cluster/testing/wait-for';
import { room } from '@plenary/cluster/testing/samples';

let redis: TestRedis;
const running: NodeProcess[] = [];

beforeAll(async () => {
  redis = await startRedisServer();
});

afterEach(async () => {
  for (const { child, exited } of running.splice(0)) {
    child.kill('SIGKILL');
    await exited;
  }
});

afterAll(async () => {
  await redis.stop();
});

function start(
  ...parameters: [overrides?: NodeJS.ProcessEnv, config?: TestConfig, outputPath?: string]
): NodeProcess {
  const started = startNodeProcess(urlOfUser('media-node', redis.port), ...parameters);
  running.push(started);
  return started;
}

/** The registry's records under the id of a node. */
async function recordsOf({ config }: NodeProcess) {
  const store = connectClusterStore({
    address: redis.address,
    namespace: DEFAULT_NAMESPACE,
    connectionName: 'test',
    logger: silentLogger(),
  });
  try {
    await waitFor('the store', () => store.isAvailable());
    const records = await store.registry.liveMediaNodes();
    return records.filter(({ mediaNodeId }) => mediaNodeId === config.mediaNodeId);
  } finally {
    await store.close();
  }
}

const workersOf = ({ child }: NodeProcess): number[] => childrenOf(child.pid ?? 0);

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('the process of a media node', () => {
  test('[CF13] refuses a faulty configuration with every fault, and exits with 1', async () => {
    const node = start({ PLENARY_PORT: 'x', PLENARY_ID: '', PLENARY_TYPO: '1' });
    expect(await node.exited).toMatchObject({ code: 1 });
    expect(node.output.errors).toContain('3 faults');
  });

  test('[WK16] logs what a worker writes to its standard error', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plenary-worker-'));
    const worker = join(folder, 'worker');
    const real = process.env['MEDIASOUP_WORKER_BIN'] ?? '';
    await writeFile(worker, `#!/bin/sh\necho 'an assertion failed' >&2\nexec '${real}' "$@"\n`, {
      mode: 0o755,
    });
    const node = start({ MEDIASOUP_WORKER_BIN: worker });
    await waitFor('the node to be ready', () => isReady(node));
    await waitFor('what the worker said', () => node.output.text.includes('an assertion failed'));
    await rm(folder, { recursive: true });
  });

  test('[PO3] refuses to start when a port of its slice is taken, naming it', async () => {
    const config = testConfig();
    const taken = config.portSlice.lastPort;
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => {
      socket.bind(taken, '127.0.0.1', resolve);
    });
    const node = start({}, config);
    expect(await node.exited).toMatchObject({ code: 1 });
    expect(node.output.errors).toContain(`UDP port ${taken} on 127.0.0.1 is taken`);
    socket.close();
  });

  test('[WK8] explains which worker it needs when it gets another program', async () => {
    const node = start({ MEDIASOUP_WORKER_BIN: '/bin/true' });
    expect(await node.exited).toMatchObject({ code: 1 });
    expect(node.output.errors).toMatch(
      /worker \/bin\/true does not start .* mediasoup \d.*MEDIASOUP_WORKER_BIN/,
    );
  });

  test('[RG3] refuses a slice that another live node owns, naming both, and a taken HTTP port', async () => {
    const first = start();
    await waitFor('the first node to be ready', () => isReady(first));
    const other = testConfig();
    // The ports themselves are free: only the registry knows that they are owned.
    const portSlice = {
      firstPort: first.config.portSlice.lastPort,
      lastPort: first.config.portSlice.lastPort + 30,
    };
    const second = start({}, { ...other, portSlice });
    expect(await second.exited).toMatchObject({ code: 1 });
    expect(second.output.errors).toContain(`media node ${first.config.mediaNodeId} owns ports`);
    const third = start({}, { ...testConfig(), port: first.config.port });
    expect(await third.exited).toMatchObject({ code: 1 });
    expect(third.output.errors).toContain(`PLENARY_PORT ${first.config.port}`);
  });

  test('[WK7] on SIGTERM it leaves the registry, ends its workers and exits with 0; nothing is left', async () => {
    const node = start();
    await waitFor('ready', () => isReady(node));
    const metrics = await (await fetch(`${node.config.operatorUrl}/metrics`)).text();
    expect(metrics).toContain('plenary_media_workers 1');
    expect(metrics).toContain('plenary_media_lease_held 1');
    const workers = workersOf(node);
    expect(workers).toHaveLength(1);
    node.child.kill('SIGTERM');
    expect(await node.exited).toEqual({ code: 0, signal: null });
    await waitFor('the workers to be gone', () => !workers.some(isAlive));
    // The same id and slice are free at once, because the announcement was withdrawn.
    const again = start({}, node.config);
    await waitFor('ready again', () => isReady(again));
    expect(again.output.text).not.toContain('registry refuses this media node');
  });

  test('[LC9] [LC21] [WK10] opens no debugger on SIGUSR1, passes no secret to workers, and stops cleanly on SIGHUP', async () => {
    const node = start();
    await waitFor('ready', () => isReady(node));
    for (const worker of workersOf(node)) {
      expect(readFileSync(`/proc/${worker}/environ`, 'utf8')).not.toMatch(/PLENARY_|REDIS_/);
    }
    node.child.kill('SIGUSR1');
    await loggedBy(node, 'SIGUSR1 is ignored');
    expect(node.output.errors).not.toContain('Debugger listening');
    node.child.kill('SIGHUP');
    expect(await node.exited).toEqual({ code: 0, signal: null });
  });

  test('[LC7] [LC17] serves while its log cannot be written, counts the lost lines, and stops on SIGTERM', async () => {
    const node = start({}, testConfig(), FULL_DISK);
    await waitFor('ready', () => isReady(node));
    await waitFor('lost lines to be counted', async () => {
      const metrics = await (await fetch(`${node.config.operatorUrl}/metrics`)).text();
      return /^plenary_media_lost_log_lines_total [1-9]/m.test(metrics);
    });
    node.child.kill('SIGTERM');
    expect(await node.exited).toEqual({ code: 0, signal: null });
  });

  test('[RG5] killed and restarted under its id, it waits for its old lease and serves', async () => {
    const node = start();
    await waitFor('ready', () => isReady(node));
    const workers = workersOf(node);
    node.child.kill('SIGKILL');
    await node.exited;
    await waitFor('the workers to be gone', () => !workers.some(isAlive));
    const again = start({}, node.config);
    await waitFor('ready again', () => isReady(again));
  });

  test('[RG2] a process that announces the id of a live node is refused, and the node continues', async () => {
    const node = start();
    await waitFor('ready', () => isReady(node));
    const [before] = await recordsOf(node);
    const { mediaNodeId } = node.config;
    const other = start({}, { ...testConfig(), mediaNodeId });
    expect((await other.exited).code).toBe(1);
    expect(other.output.errors).toContain(`media node ${mediaNodeId} cannot`);
    await waitFor('it to be ready', () => isReady(node));
    const after = await recordsOf(node);
    expect(after.map(({ incarnation, controlUrl }) => [incarnation, controlUrl])).toEqual([
      [before?.incarnation, node.config.controlUrl],
    ]);
  });

  test('[ST3] garbage in the registry is counted and stops nothing', async () => {
    await spoilStore(redis.url, room('any'));
    const node = start();
    await waitFor('ready', () => isReady(node));
    await waitFor('the garbage to be met', async () => {
      const metrics = await (await fetch(`${node.config.operatorUrl}/metrics`)).text();
      return /plenary_media_malformed_records_total\{kind="registry"\} [1-9]/.test(metrics);
    });
    // The process' output arrives separately from its answers.
    const output = await loggedBy(node, 'skipped a malformed record');
    expect(output.match(/skipped a malformed record/g)).toHaveLength(1);
    expect((await recordsOf(node)).length).toBe(1);
  });

  test.runIf(process.platform === 'linux')(
    '[AD15] logs once that it has reached its file limit, and continues',
    async () => {
      const node = start();
      await waitFor('ready', () => isReady(node));
      const says = (): number => node.output.text.split('as many files open as it may').length - 1;
      const limitFiles = (limit: number): void => {
        execFileSync('prlimit', ['--pid', `${node.child.pid}`, `--nofile=${limit}:`]);
      };
      limitFiles(16);
      await waitFor('the word', () => says() === 1);
      limitFiles(1_024);
      await waitFor('it to answer', () => isReady(node));
      expect(node.output.text).toContain('--ulimit nofile=');
    },
  );

  test.runIf(process.platform === 'linux')(
    '[AD16] logs once that a worker has reached its file limit, and continues',
    async () => {
      const node = start();
      await waitFor('ready', () => isReady(node));
      const [worker] = workersOf(node);
      execFileSync('prlimit', ['--pid', `${worker}`, '--nofile=8:']);
      await waitFor('the word', () => node.output.text.includes('worker has as many files open as it may'));
      const metrics = await (await fetch(`${node.config.operatorUrl}/metrics`)).text();
      expect(metrics).toMatch(/plenary_media_worker_open_files\{worker="0"\} [1-9]/);
      await waitFor('it to be ready', () => isReady(node));
      expect(workersOf(node)).toEqual([worker]);
    },
  );

  test('[WK7] exits when its parent process ends', async () => {
    const node = start({ PLENARY_PARENT_PIPE: '1' });
    await waitFor('ready', () => isReady(node));
    const workers = workersOf(node);
    node.child.stdin.end();
    expect(await node.exited).toMatchObject({ code: 0 });
    await waitFor('the workers to be gone', () => !workers.some(isAlive));
  });

  test('[OU2] [OP7] while the store is down it is alive and not ready, and is ready again when the store returns', async () => {
    const node = start();
    await waitFor('ready', () => isReady(node));
    await redis.kill();
    await waitFor('not ready', async () => !(await isReady(node)));
    expect((await fetch(`${node.config.operatorUrl}/health`)).status).toBe(200);
    // The control port answers only control links.
    for (const path of ['/health', '/ready', '/metrics', '/admin/challenge'])
      expect((await fetch(`${node.config.controlUrl}${path}`)).status).toBe(404);
    await waitFor('the lease to lapse', async () => {
      const state: unknown = await (await fetch(`${node.config.operatorUrl}/ready`)).json();
      return JSON.stringify(state).includes('lease_lapsed');
    });
    await redis.restart();
    await waitFor('ready again', () => isReady(node));
    expect(node.child.exitCode).toBeNull();
  });
});
