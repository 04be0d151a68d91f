/** Outputs that take nothing. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** As a disk that is full. */
export const FULL_DISK = '/dev/full';

/** How a program is started whose standard output and standard error go to a file. */
export function writingTo(path: string, command: readonly string[]): [program: string, parameters: string[]] {
  return ['/bin/sh', ['-c', `exec "$@" >'${path}' 2>&1`, 'sh', ...command]];
}

/** Makes a pipe that is full, and that nobody reads. @returns closes it */
export function fillPipe(path: string): () => void {
  execFileSync('mkfifo', [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(pipe, 'x'.repeat(4_096));
  } catch (fault) {
    if (!(fault instanceof Error && 'code' in fault && fault.code === 'EAGAIN')) throw fault;
  }
  return () => closeSync(pipe);
}
