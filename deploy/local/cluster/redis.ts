import { accessSync, constants, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, inheritedEnvironment, SHOWN_LINES } from './child.ts';
import type { ChildCallbacks } from './child.ts';
import { LocalClusterError } from './errors.ts';

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 25;

export interface RedisOptions {
  readonly port: number;
  /** The address it listens on. */
  readonly host: string;
  /** Emptied at the start: the cluster's secrets are new, and a previous start's leases would only mislead. */
  readonly folder: string;
  readonly appendOnly: boolean;
  readonly clusterId: string;
}

/**
 * A Redis of the cluster's own, on one address of this machine only.
 * @throws LocalClusterError when there is no Redis to run
 */
export function createRedis(options: RedisOptions, callbacks: ChildCallbacks): Child {
  rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(options.folder, { recursive: true });
  const args = [
    ...['--port', String(options.port), '--bind', options.host, '--dir', options.folder],
    // In protected mode it would answer nobody but 127.0.0.1.
    ...['--protected-mode', 'no'],
    ...['--save', '', '--appendonly', options.appendOnly ? 'yes' : 'no', '--loglevel', 'warning'],
  ];
  const env = { ...inheritedEnvironment(), LOCAL_CLUSTER_ID: options.clusterId };
  return new Child({ kind: 'redis', id: 'redis', program: findRedis(), args, env }, callbacks);
}

function findRedis(): string {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      const path = join(folder, name);
      if (folder !== '' && isExecutable(path)) return path;
    }
  }
  throw new LocalClusterError(
    'There is no redis-server on the PATH. Run `npm run setup`, or name a Redis that runs already in REDIS_URL.',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not ours to run.
  }
}

/**
 * Waits until Redis answers. A Redis that has ended, or that does not answer in time, is a LocalClusterError.
 * @param child to notice its end, where it is ours
 */
export async function waitForRedis(url: string, child: Child | null): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  let answer = '';
  while (performance.now() < deadline) {
    if (child !== null && child.pid === null) {
      const lines = child
        .logs()
        .slice(-SHOWN_LINES)
        .map((line) => `    ${line}`);
      throw new LocalClusterError(
        `Redis did not start (it ${await child.ended}). Its last lines:\n${lines.join('\n')}`,
      );
    }
    answer = await ping(url);
    // A Redis with a password, or one still loading its data, is there as well; clients deal with both.
    if (answer.startsWith('+PONG') || answer.startsWith('-NOAUTH')) return;
    await sleep(POLL_MS);
  }
  throw new LocalClusterError(
    `Redis at ${redactUrl(url)} does not answer (${answer.trim() || 'no connection'}). ${child === null ? 'Start it, or unset REDIS_URL to have the cluster start its own.' : ''}`,
  );
}

function ping(url: string): Promise<string> {
  const { hostname, port, protocol } = new URL(url);
  // TLS is the processes' own business; that the port is open is all that is asked here.
  const answerOnConnect = protocol === 'rediss:';
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 6379), timeout: 1_000 });
    const finish = (answer: string) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => {
      if (answerOnConnect) finish('+PONG');
      else socket.write('PING\r\n');
    });
    socket.once('data', (data) => finish(data.toString()));
    socket.once('timeout', () => finish('timeout'));
    socket.once('error', (error) => finish(error.message));
  });
}

/** A Redis address without its password, for people and files. */
export function redactUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = '***';
  return parsed.toString();
}
