import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes of this machine whose environment has this variable with this value: whatever one process of ours
 * started, it inherited the mark. Linux only; elsewhere the answer is empty.
 */
export function findMarked(name: string, value: string): Leftover[] {
  const mark = `\0${name}=${value}\0`;
  return processIds().flatMap((pid) => {
    if (pid === process.pid || !`\0${readProc(pid, 'environ')}`.includes(mark)) return [];
    // A process that has ended and waits for its parent to notice is no leftover.
    if (/^\d+ \(.*\) Z /s.test(readProc(pid, 'stat'))) return [];
    return [{ pid, command: readProc(pid, 'cmdline').split('\0').join(' ').trim().slice(0, 160) }];
  });
}

/**
 * Waits until no marked process is left.
 * @returns those that are still there when the time is up
 */
export async function waitUntilGone(name: string, value: string, timeoutMs: number): Promise<Leftover[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = findMarked(name, value);
    if (left.length === 0 || performance.now() >= deadline) return left;
    await sleep(20);
  }
}

function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number);
  } catch {
    return []; // No /proc on this system.
  }
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // It has ended, or belongs to somebody else.
  }
}
