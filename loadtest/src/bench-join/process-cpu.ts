import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** The unit of CPU time in /proc: ticks per second, 100 on every usual machine. */
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  readonly name: string;
  /** User and system time of all its threads, in seconds. */
  readonly cpuSeconds: number;
}

/** Reads the fields of `/proc/<pid>/stat` (proc(5)). The name is in brackets, and may contain brackets and spaces. */
export function parseProcessStat(text: string): ProcessStat {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  // Field 3, the state, is the first one after the name.
  const fields = text.slice(close + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid: Number(text.slice(0, open - 1)),
    parentPid: field(4),
    name: text.slice(open + 1, close),
    cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
  };
}

/** @throws Error if there is no such process */
export function cpuSecondsOf(pid: number): number {
  return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).cpuSeconds;
}

/**
 * The CPU time of all threads of a process, in milliseconds, from `/proc/<pid>/task/<tid>/schedstat`: it is as exact as the
 * scheduler, whereas {@link cpuSecondsOf} counts ticks of 10 ms.
 * @throws Error if there is no such process
 */
export function threadsCpuMsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map(
      (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6,
    )
    .reduce((sum, milliseconds) => sum + milliseconds, 0);
}
