import { readFileSync } from 'node:fs';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { cpuSecondsOf } from '@plenary/loadtest/pages';
import type { HostileWorld } from './hostile-world.ts';

/** The CPU time and memory that processes have used so far. */
export interface Usage {
  /** CPU seconds of the attacked edge, of its media node with the worker, and of Redis. */
  readonly cpuSeconds: { readonly edge: number; readonly node: number; readonly redis: number };
  /** Resident memory of these processes together, in bytes. */
  readonly memoryBytes: number;
}

export function usageOf(world: HostileWorld): Usage {
  const edge = pidOf(world.target);
  const node = pidOf(world.targetNode);
  const redis = world.cluster.redis === null ? undefined : pidOf(world.cluster.redis);
  const nodeTree = [node, ...childrenOf(node)];
  const sum = (pids: readonly number[], of: (pid: number) => number): number =>
    pids.reduce((total, pid) => total + of(pid), 0);
  const redisPids = redis === undefined ? [] : [redis];
  return {
    cpuSeconds: {
      edge: cpuSecondsOf(edge),
      node: sum(nodeTree, cpuSecondsOf),
      redis: sum(redisPids, cpuSecondsOf),
    },
    memoryBytes: sum([edge, ...nodeTree, ...redisPids], residentBytes),
  };
}

function pidOf({ id, pid }: { readonly id: string; readonly pid: number | null }): number {
  if (pid === null) throw new Error(`${id} does not run`);
  return pid;
}

/** From `/proc/<pid>/statm` (proc(5)), in pages of 4 KiB. */
function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4_096;
}
