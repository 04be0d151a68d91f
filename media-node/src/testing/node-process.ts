import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { writingTo } from '@plenary/cluster/testing/full-outputs';
import { waitForLog } from '@plenary/cluster/testing/wait-for';
import { TEST_SECRET, testConfig } from './test-node.ts';
import type { TestConfig } from './test-node.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** A media node in a process of its own. */
export interface NodeProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  readonly output: { text: string; errors: string };
  readonly config: TestConfig;
}

/**
 * @param overrides - of the environment; an undefined one takes a variable away
 * @param outputPath - a file that standard output and standard error go to
 */
export function startNodeProcess(
  redisUrl: string,
  overrides: NodeJS.ProcessEnv = {},
  config = testConfig(),
  outputPath?: string,
): NodeProcess {
  const { firstPort, lastPort } = config.portSlice;
  const [program, parameters] =
    outputPath === undefined ? [process.execPath, [MAIN]] : writingTo(outputPath, [process.execPath, MAIN]);
  const child = spawn(program, parameters, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      MEDIASOUP_WORKER_BIN: process.env['MEDIASOUP_WORKER_BIN'],
      PLENARY_ID: config.mediaNodeId,
      PLENARY_DATACENTER: config.datacenter,
      PLENARY_HOST: config.host,
      PLENARY_PORT: String(config.port),
      PLENARY_CONTROL_URL: config.controlUrl,
      PLENARY_OPERATOR_PORT: String(config.operators.port),
      PLENARY_LISTEN_IP: config.listenIp,
      PLENARY_ANNOUNCED_ADDRESS: config.announcedAddress,
      PLENARY_PORT_SLICE: `${firstPort}-${lastPort}`,
      PLENARY_WORKERS: '1',
      // As long as by default: a machine that stands still for a moment ends no lease.
      PLENARY_LEASE_MS: '5000',
      PLENARY_CLUSTER_SECRET: TEST_SECRET,
      REDIS_URL: redisUrl,
      ...overrides,
    },
  });
  const output = { text: '', errors: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    output.text += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output.errors += chunk.toString();
  });
  // Whoever waits for its end looks at its last lines: with `exit` they may not have been read yet.
  const exited = once(child, 'close').then(([code, signal]: (number | string | null)[]) => ({
    code: typeof code === 'number' ? code : null,
    signal: typeof signal === 'string' ? signal : null,
  }));
  return { child, exited, output, config };
}

/** Waits until a node has logged a text. @returns all that it logged */
export async function loggedBy({ config, output }: NodeProcess, text: string): Promise<string> {
  return waitForLog(config.mediaNodeId, () => output.text, text);
}

/** What a node answers to `/ready`, or `undefined` while it does not. */
export async function readinessOf({ config }: NodeProcess): Promise<string | undefined> {
  try {
    return await (await fetch(`${config.operatorUrl}/ready`)).text();
  } catch {
    return undefined;
  }
}

export async function isReady(node: NodeProcess): Promise<boolean> {
  return (await readinessOf(node))?.includes('"ready":true') ?? false;
}
