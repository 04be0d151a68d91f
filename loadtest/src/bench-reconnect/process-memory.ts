import { readFileSync, writeFileSync } from 'node:fs';

/** A process's memory in MB (2^20 bytes), from `/proc/<pid>/status`. */
export interface ProcessMemory {
  readonly now: number;
  /** The peak since its start, or since {@link forgetPeak}. */
  readonly peak: number;
}

/** @throws Error if there is no such process */
export function memoryOf(pid: number): ProcessMemory {
  return parseMemory(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

export function parseMemory(status: string): ProcessMemory {
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1_024;
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}

/** Resets the peak to the current memory (proc(5), `clear_refs`). @throws Error if there is no such process */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
