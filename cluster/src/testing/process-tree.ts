import { readdirSync, readFileSync } from 'node:fs';

/** The processes that a process started and that run now; none of one that has ended. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    // It ended, or a thread of it did between the listing and the look at it.
    return [];
  }
}

/** A process and all that it started, directly or not, it first. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}
