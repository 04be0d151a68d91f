import { guardCallback } from './guarded-callbacks.ts';
/**
 * Calls `onGone` when the parent that holds the other end of standard input has died, even by SIGKILL. The local
 * cluster starts its processes with PLENARY_PARENT_PIPE=1, so that none of them outlives it.
 */
export function watchParentPipe(onGone: () => void): void {
  process.stdin.on('end', guardCallback('signal', onGone));
  process.stdin.on('error', guardCallback('signal', onGone));
  process.stdin.resume();
}
