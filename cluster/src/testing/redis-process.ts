import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/**
 * Outlives the test, in a session of its own, until its standard input ends: by `end`, or because the test is dead. Then it
 * kills the servers that are still noted and removes the folder.
 */
const GUARD = `
pids=
while read -r sign pid; do
  if [ "$sign" = + ]; then pids="$pids $pid"; continue; fi
  others=; for other in $pids; do [ "$other" = "$pid" ] || others="$others $other"; done; pids=$others
done
[ -z "$pids" ] || kill -KILL $pids
rm -rf "$1"`;

/** A temporary folder with the servers that run in it. Nothing of it is left behind, even by a test that is killed. */
export class ServerFolder {
  readonly path: string;
  readonly #guard: ChildProcess;

  static async create(): Promise<ServerFolder> {
    return new ServerFolder(await mkdtemp(join(tmpdir(), 'plenary-redis-')));
  }

  private constructor(path: string) {
    this.path = path;
    this.#guard = spawn('sh', ['-c', GUARD, 'redis-guard', path], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#guard.unref();
  }

  note(pid: number): void {
    this.#guard.stdin?.write(`+ ${pid}\n`);
  }

  forget(pid: number): void {
    this.#guard.stdin?.write(`- ${pid}\n`);
  }

  async end(): Promise<void> {
    if (this.#guard.exitCode === null) {
      const exited = once(this.#guard, 'exit');
      // Not counted until now, so that it keeps no process alive that forgot to end it.
      this.#guard.ref();
      this.#guard.stdin?.end();
      await exited;
    }
    await rm(this.path, { recursive: true, force: true });
  }
}

/** What a command is run through, such as `ip netns exec NAME`; each of these puts the next in its own place. */
export type Launcher = readonly string[];

/** A `redis-server` that a test started, in whatever mode its arguments say. */
export class RedisProcess {
  readonly #folder: ServerFolder;
  readonly #args: readonly string[];
  readonly #through: Launcher;
  #child: ChildProcess;
  #lastLines: readonly string[] = [];

  /** Starts it and waits until it answers. @throws Error with its output when it does not start */
  static async start(
    folder: ServerFolder,
    args: readonly string[],
    through: Launcher = [],
  ): Promise<RedisProcess> {
    return new RedisProcess(folder, args, through, await launch(folder, args, through));
  }

  private constructor(folder: ServerFolder, args: readonly string[], through: Launcher, child: ChildProcess) {
    this.#folder = folder;
    this.#args = args;
    this.#through = through;
    this.#child = child;
    this.#listen();
  }

  /** What it printed last, oldest first, over all its restarts; for a test that fails. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Its number, also of one that has ended. */
  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('redis-server was not started');
    return pid;
  }

  /** Stops it in its tracks (SIGSTOP), or lets it go on. */
  freeze(frozen: boolean): void {
    this.#child.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  /** Kills it as a crash would. */
  async kill(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
    this.#folder.forget(pid);
  }

  /** Has it hang: it keeps its connections and answers nothing. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  /** Starts it again with the arguments it had. */
  async restart(): Promise<void> {
    await this.kill();
    this.#child = await launch(this.#folder, this.#args, this.#through);
    this.#listen();
  }

  #listen(): void {
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const lines = chunk.toString('utf8').split('\n').filter(Boolean);
      this.#lastLines = [...this.#lastLines, ...lines].slice(-KEPT_LINES);
    });
  }
}

const KEPT_LINES = 50;

async function launch(
  folder: ServerFolder,
  args: readonly string[],
  through: Launcher,
): Promise<ChildProcess> {
  const [program = '', ...rest] = [...through, 'redis-server', ...args];
  const server = spawn(program, rest, { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'] });
  if (server.pid !== undefined) folder.note(server.pid);
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      // A Sentinel says only its id.
      if (/Ready to accept connections|Sentinel ID is/.test(output)) resolve();
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`redis-server did not start:\n${output}`)));
  });
  return server;
}

/** Of servers that Sentinels and Clusters are made of, so that what is tested with them logs in as in operation. */
export const TEST_REDIS_PASSWORD = 'a-redis-password-that-only-tests-know';

/** Arguments of a server on loopback that writes no data to disk. */
export function volatileServer(port: number): readonly string[] {
  return ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
}

/** The same, asking for the password, and giving it to other servers. */
export function guardedServer(port: number): readonly string[] {
  const login = ['--requirepass', TEST_REDIS_PASSWORD, '--masterauth', TEST_REDIS_PASSWORD];
  return [...volatileServer(port), ...login];
}

export const guardedUrl = (port: number, host = '127.0.0.1'): string =>
  `redis://:${TEST_REDIS_PASSWORD}@${host}:${port}`;

/** Asks a server something over a connection of its own, once. @throws Error when it does not answer */
export async function askServer<Answer>(
  url: string,
  question: (redis: Redis) => Promise<Answer>,
): Promise<Answer> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: null });
  // Rejections tell it.
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
