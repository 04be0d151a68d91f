import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { RoomId } from '@plenary/cluster/ids';
import { freePort } from '@plenary/cluster/testing/ports';
import { room } from '@plenary/cluster/testing/samples';
import { writingTo } from '@plenary/cluster/testing/full-outputs';
import { waitForLog } from '@plenary/cluster/testing/wait-for';
import { waitFor } from './wait-for.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

export const TEST_CLUSTER_SECRET = 'a cluster secret that only tests know';
export const TEST_ADMIN_TOKEN = 'an admin token that only tests know here';
export const TEST_API_KEY = 'test-key';
/** The room of that tenant that clients call so. */
export const testRoom = (name: string): RoomId => room(name, TEST_API_KEY);
export const TEST_API_SECRET = 'an-api-secret-that-only-tests-know-here';

export interface EdgeProcessOptions {
  readonly id: string;
  /** Absent where `settings` name the store. */
  readonly redisUrl?: string;
  readonly datacenter?: string;
  /** The address to listen on; default 127.0.0.1. */
  readonly host?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** A file that standard output and standard error go to; default is what `output` gives. */
  readonly outputPath?: string;
}

/** A real edge process that a test started. */
export class EdgeProcess {
  readonly id: string;
  readonly url: string;
  /** Of its operators: /health, /ready, /metrics and /admin. */
  readonly operatorUrl: string;
  readonly #child: ChildProcess;
  /** It has ended, and all that it wrote has been read. */
  readonly #closed: Promise<unknown>;
  #output = '';

  /** Starts an edge and waits until it is healthy. @throws Error with its output when it does not start */
  static async start(options: EdgeProcessOptions): Promise<EdgeProcess> {
    const edge = EdgeProcess.launch(options, await freePort(), await freePort());
    await waitFor(`edge ${options.id} to be healthy`, async () => {
      if (edge.#child.exitCode !== null) {
        await edge.exited();
        throw new Error(`The edge exited:\n${edge.#output}`);
      }
      return edge.status('/health').then(
        (status) => status === 200,
        () => false,
      );
    });
    return edge;
  }

  /** Starts an edge and waits for nothing. */
  static launch(options: EdgeProcessOptions, port: number, operatorPort: number): EdgeProcess {
    return new EdgeProcess(options, port, operatorPort);
  }

  private constructor(options: EdgeProcessOptions, port: number, operatorPort: number) {
    this.id = options.id;
    const host = options.host ?? '127.0.0.1';
    const at = `http://${isIP(host) === 6 ? `[${host}]` : host}`;
    this.url = `${at}:${port}`;
    this.operatorUrl = `${at}:${operatorPort}`;
    const { outputPath } = options;
    const [program, parameters] =
      outputPath === undefined ? [process.execPath, [MAIN]] : writingTo(outputPath, [process.execPath, MAIN]);
    this.#child = spawn(program, parameters, {
      env: {
        PATH: process.env['PATH'],
        PLENARY_ID: options.id,
        PLENARY_DATACENTER: options.datacenter ?? 'gra',
        PLENARY_HOST: host,
        PLENARY_PORT: String(port),
        PLENARY_OPERATOR_PORT: String(operatorPort),
        PLENARY_PUBLIC_URL: this.url,
        ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
        PLENARY_CLUSTER_SECRET: TEST_CLUSTER_SECRET,
        PLENARY_API_KEYS: `${TEST_API_KEY}:${TEST_API_SECRET}`,
        PLENARY_PARENT_PIPE: '1',
        PLENARY_DRAIN_MS: '0',
        PLENARY_ADMIN_TOKEN: TEST_ADMIN_TOKEN,
        ...options.settings,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#keep(chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#keep(chunk));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it logged, as far as it is kept. Comes another way than its answers: {@link logged} waits for it. */
  get output(): string {
    return this.#output;
  }

  /** Waits until it has logged a text. @returns all that it logged */
  async logged(text: string): Promise<string> {
    return waitForLog(`edge ${this.id}`, () => this.#output, text);
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** What it answers its operators. */
  async status(path: string): Promise<number> {
    return (await fetch(`${this.operatorUrl}${path}`)).status;
  }

  async ready(): Promise<void> {
    await waitFor(`edge ${this.id} to be ready`, async () => (await this.status('/ready')) === 200);
  }

  /** The value of a metric, summed over its labels that hold the text. */
  async metric(name: string, labels = ''): Promise<number> {
    const lines = (await (await fetch(`${this.operatorUrl}/metrics`)).text()).split('\n');
    const values = lines
      .filter((line) => line.startsWith(name) && line.includes(labels))
      .map((line) => line.split(' ').at(-1));
    return values.reduce((sum, value) => sum + Number(value), 0);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** As when the parent dies: its end of the pipe is closed. */
  closeInput(): void {
    this.#child.stdin?.end();
  }

  /** Waits for its end, and for the last of its output. @returns the exit code */
  async exited(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Stops it as an operator would. @throws Error when it does not end well: a fault that nobody caught shows here */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    const exitCode = await this.exited();
    const wasKilled = this.#child.signalCode !== null;
    if (!wasKilled && exitCode !== 0) throw new Error(`The edge exited with ${exitCode}:\n${this.#output}`);
    if (this.#output.includes('"level":"fatal"'))
      throw new Error(`The edge logged a fatal fault:\n${this.#output}`);
  }

  #keep(chunk: Buffer): void {
    this.#output = (this.#output + chunk.toString()).slice(-100_000);
  }
}
