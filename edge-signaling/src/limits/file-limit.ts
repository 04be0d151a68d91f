import { readFileSync } from 'node:fs';

/** Where the kernel does not say: what most systems give at least once Node has raised it. */
const UNKNOWN_LIMIT = 4_096;
/** Files that an edge needs beside the sockets of clients: links, the store, its HTTP requests, what it reads. */
export const RESERVED_FILES = 256;

/** How many sockets of clients an edge may hold by the file limit of its process (SPEC EN9). */
export function socketsByFileLimit(limits: string | undefined = readLimits()): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '') ?? [];
  const files = soft === 'unlimited' ? 1_000_000 : Number(soft ?? UNKNOWN_LIMIT);
  return Math.max(Math.floor(files / 2), files - RESERVED_FILES);
}

function readLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined; // No Linux.
  }
}
