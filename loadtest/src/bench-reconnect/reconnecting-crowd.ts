import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CROWD_ANSWER } from './crowd-messages.ts';
import type { CrowdAnswer, CrowdCommand, CrowdCount, CrowdReport, CrowdSpec } from './crowd-messages.ts';

const PROGRAM = fileURLToPath(new URL('./crowd-process.ts', import.meta.url));

/** People in several processes, because one thread could neither hold nor answer that many sockets at once. */
export class ReconnectingCrowd {
  readonly #processes: readonly ChildProcess[];

  static start(processes: number): ReconnectingCrowd {
    const inherited = { PATH: process.env['PATH'] };
    return new ReconnectingCrowd(
      Array.from({ length: processes }, () =>
        fork(PROGRAM, { env: inherited, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
      ),
    );
  }

  private constructor(processes: readonly ChildProcess[]) {
    this.#processes = processes;
  }

  get pids(): number[] {
    return this.#processes.flatMap(({ pid }) => pid ?? []);
  }

  /** Has everybody join. @returns the error codes of failed joins */
  async join(spec: Omit<CrowdSpec, 'first'>): Promise<string[]> {
    const parts = share(spec.count, this.#processes.length);
    let first = 0;
    const answers = await Promise.all(
      this.#processes.map((child, index) => {
        const count = parts[index] ?? 0;
        const own = { ...spec, first, count };
        // Two processes share no room, and each room is full.
        first += Math.ceil(count / spec.roomSize) * spec.roomSize;
        return ask(child, { type: 'join', spec: own });
      }),
    );
    return answers.flatMap((answer) => (answer.type === 'join' ? answer.failures : []));
  }

  async count(): Promise<CrowdCount> {
    const total: { -readonly [Key in keyof CrowdCount]: number } = {
      joined: 0,
      reconnecting: 0,
      failed: 0,
      lost: 0,
    };
    for (const answer of await this.#askAll({ type: 'count' })) {
      if (answer.type !== 'count') continue;
      total.joined += answer.count.joined;
      total.reconnecting += answer.count.reconnecting;
      total.failed += answer.count.failed;
      total.lost += answer.count.lost;
    }
    return total;
  }

  async reports(): Promise<CrowdReport[]> {
    const answers = await this.#askAll({ type: 'report' });
    return answers.flatMap((answer) => (answer.type === 'report' ? [answer.report] : []));
  }

  /** Ends the processes and their sockets, without notice to the edges. */
  async end(): Promise<void> {
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
  }

  async #askAll(command: CrowdCommand): Promise<CrowdAnswer[]> {
    return Promise.all(this.#processes.map((child) => ask(child, command)));
  }
}

/** Sends one command at a time to each process. @throws Error if a process ends instead of answering */
async function ask(child: ChildProcess, command: CrowdCommand): Promise<CrowdAnswer> {
  const ended = new AbortController();
  const answered = once(child, 'message', { signal: ended.signal });
  const exit = (): void => ended.abort(new Error('A process of the benchmark ended.'));
  child.once('exit', exit);
  child.send(command);
  try {
    return CROWD_ANSWER.parse((await answered)[0]);
  } finally {
    child.off('exit', exit);
  }
}

/** Distributes as evenly as possible. */
export function share(count: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, index) => Math.floor((count + parts - 1 - index) / parts));
}
