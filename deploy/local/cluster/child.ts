import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemTimers, withDeadline } from '@plenary/cluster';
import { LocalClusterError } from './errors.ts';
import type { ProcessKind } from './options.ts';

/** How many of a process's last lines are kept. */
const KEPT_LINES = 500;

/** How many are shown when a process dies. */
export const SHOWN_LINES = 12;

export interface ChildSpec {
  readonly kind: ProcessKind;
  readonly id: string;
  readonly program: string;
  readonly args: readonly string[];
  /** The network namespace that it runs in. */
  readonly namespace?: string;
  /** The complete environment of its first start. */
  readonly env: NodeJS.ProcessEnv;
}

export interface ChildCallbacks {
  readonly onLine: (line: string) => void;
  /** Is called when the process ended unasked. */
  readonly onUnexpectedExit: (how: string) => void;
}

/**
 * One process of the cluster, over all its restarts.
 *
 * Nothing of it outlives us, however we end: the system kills it when we are gone (`setpriv --pdeathsig`, on Linux),
 * and its standard input is a pipe from us, whose end it watches for itself (`PLENARY_PARENT_PIPE`).
 */
export class Child {
  readonly spec: ChildSpec;
  readonly #callbacks: ChildCallbacks;
  readonly #lines: string[] = [];
  #env: NodeJS.ProcessEnv;
  #process: ChildProcess | null = null;
  #ended: Promise<string> = Promise.resolve('was not started');
  #endIsExpected = false;

  constructor(spec: ChildSpec, callbacks: ChildCallbacks) {
    this.spec = spec;
    this.#env = spec.env;
    this.#callbacks = callbacks;
  }

  /** The process id, or null while it does not run. */
  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Its last output lines, oldest first, over all its restarts. */
  logs(): readonly string[] {
    return [...this.#lines];
  }

  /** How it ended (`exited with 1`, `was ended by SIGKILL`), once it has. */
  get ended(): Promise<string> {
    return this.#ended;
  }

  /** Changes the environment of its later starts. */
  change(env: Readonly<Record<string, string>>): void {
    this.#env = { ...this.#env, ...env };
  }

  /**
   * Starts it.
   * @throws LocalClusterError if its program cannot be run, or if it already runs
   */
  async start(): Promise<void> {
    if (this.#process !== null)
      throw new LocalClusterError(`${this.spec.id} runs already (process ${this.pid}).`);
    this.#endIsExpected = false;
    const { program, args } = inNamespace(
      this.spec.namespace,
      withDeathSignal(this.spec.program, this.spec.args),
    );
    // A process group of its own: Ctrl-C in a terminal reaches the launcher alone, which stops the store after those that write to it.
    const child = spawn(program, args, { env: this.#env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#process = child;
    // Nothing is ever written: the pipe only ends with this process. It may break when the child ends first.
    child.stdin.on('error', () => child.stdin.destroy());
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => this.#take(line));
    }
    const started = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => {
        this.#process = null;
        reject(
          new LocalClusterError(
            `${this.spec.id} cannot be started: ${error.message} (${this.spec.program}).`,
          ),
        );
      });
    });
    // `close` comes when its output has been read to the end too, so its last words are never missed.
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        const how = signal === null ? `exited with ${code ?? '?'}` : `was ended by ${signal}`;
        const expected = this.#endIsExpected;
        this.#process = null;
        resolve(how);
        if (!expected) this.#callbacks.onUnexpectedExit(how);
      });
    });
    await started;
  }

  /**
   * Sends a signal, and for a deadly one waits until the process is gone. Its end then counts as asked for.
   * `SIGSTOP` and `SIGCONT` freeze and thaw it.
   */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    if (signal === 'SIGSTOP' || signal === 'SIGCONT' || signal === 'SIGUSR1' || signal === 'SIGUSR2') {
      child.kill(signal);
      return;
    }
    this.#endIsExpected = true;
    child.kill(signal);
    await this.#ended;
  }

  /**
   * Ends it: asks with SIGTERM, and kills it when it takes longer than the given time.
   * @returns whether it ended by itself
   */
  async stop(timeoutMs: number): Promise<boolean> {
    const child = this.#process;
    if (child === null) return true;
    this.#endIsExpected = true;
    child.kill('SIGTERM');
    // A frozen process handles no signal until it is thawed.
    child.kill('SIGCONT');
    const outcome = await withDeadline(systemTimers, timeoutMs, this.#ended, () => 'late' as const);
    if (outcome !== 'late') return true;
    child.kill('SIGKILL');
    await this.#ended;
    return false;
  }

  /** Kills it without waiting, when this process ends. */
  killNow(): void {
    this.#endIsExpected = true;
    this.#process?.kill('SIGKILL');
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    this.#callbacks.onLine(line);
  }
}

const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** `ip netns exec` also replaces itself with the program, so its process id and its death signal stay the same. */
function inNamespace(namespace: string | undefined, { program, args }: Command): Command {
  if (namespace === undefined) return { program, args };
  return { program: 'ip', args: ['netns', 'exec', namespace, program, ...args] };
}

/** setpriv replaces itself with the program, so the process id stays the program's own. */
function withDeathSignal(program: string, args: readonly string[]): Command {
  if (SETPRIV !== undefined)
    return { program: SETPRIV, args: ['--pdeathsig', 'KILL', '--', program, ...args] };
  // Without setpriv (macOS, musl) a shell watches our pipe and ends the program when it closes. The process number is
  // then the shell's; it hands SIGTERM on.
  const script =
    'exec 3<&0; "$@" </dev/null & p=$!; (cat <&3 >/dev/null; kill -TERM $p) & trap "kill -TERM $p" TERM INT; wait $p; c=$?; trap - TERM; kill $! 2>/dev/null; exit $c';
  return { program: '/bin/sh', args: ['-c', script, 'sh', program, ...args] };
}

/** Our environment without the settings of other Plenary processes. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    // A process refuses PLENARY_ settings that it does not know; what a person's shell has set for one of them
    // must not reach all.
    Object.entries(process.env).filter(([name]) => !name.startsWith('PLENARY_') && name !== 'REDIS_URL'),
  );
}
