import { fileLimitOf } from '@plenary/cluster';

/** The limit where the kernel does not report one: most systems give at least this much after Node has raised it. */
const UNKNOWN_LIMIT = 4_096;
/** The value that stands for an unlimited number of files. */
const NO_LIMIT = 1_000_000;
/** Files that an edge needs beside the sockets of clients: for links, the store, HTTP requests, and files that it reads. */
export const RESERVED_FILES = 256;

/** The number of client sockets that the file limit of the process allows (SPEC EN9). */
export function socketsByFileLimit(limits?: string): number {
  const limit = fileLimitOf(limits) ?? UNKNOWN_LIMIT;
  const files = limit === Infinity ? NO_LIMIT : limit;
  return Math.max(Math.floor(files / 2), files - RESERVED_FILES);
}
