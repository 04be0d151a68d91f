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

/** A media node in its own process. */
export interface NodeProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  readonly output: { text: string; errors: string };
  readonly config: TestConfig;
}

/**
 * @param overrides - environment variables; `undefined` removes a variable
 * @param outputPath - a file for standard output and standard error
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
      // As long as the default, so that a stall of the machine ends no lease.
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
  // Tests read its last lines after its end: with `exit` they may not have been read yet.
  const exited = once(child, 'close').then(([code, signal]: (number | string | null)[]) => ({
    code: typeof code === 'number' ? code : null,
    signal: typeof signal === 'string' ? signal : null,
  }));
  return { child, exited, output, config };
}

/** Waits until a node has logged a text. @returns its whole log */
export async function loggedBy({ config, output }: NodeProcess, text: string): Promise<string> {
  return waitForLog(config.mediaNodeId, () => output.text, text);
}

/** The node's answer to `/ready`, or `undefined` while it does not answer. */
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
