import { fileLimitOf } from '@plenary/cluster';

/** Where the kernel does not say: what most systems give at least once Node has raised it. */
const UNKNOWN_LIMIT = 4_096;
/** Where there is no limit. */
const NO_LIMIT = 1_000_000;
/** Files that an edge needs beside the sockets of clients: links, the store, its HTTP requests, what it reads. */
export const RESERVED_FILES = 256;

/** How many sockets of clients an edge may hold by the file limit of its process (SPEC EN9). */
export function socketsByFileLimit(limits?: string): number {
  const limit = fileLimitOf(limits) ?? UNKNOWN_LIMIT;
  const files = limit === Infinity ? NO_LIMIT : limit;
  return Math.max(Math.floor(files / 2), files - RESERVED_FILES);
}
