import { inBackground } from './entry.ts';
/**
 * What a signal to end does: the first one drains and then stops, and a further one stops at once (SPEC DR7).
 * @param drain - settles when the process is empty, or its time is over; absent, there is nothing to wait for
 */
export function drainThenStop(
  drain: () => Promise<unknown> | undefined,
  stop: (why: string) => void,
): (why: string) => void {
  let isDraining = false;
  let isStopping = false;
  return (why) => {
    if (isDraining || isStopping) {
      isStopping = true;
      stop(why);
      return;
    }
    const drained = drain();
    if (drained === undefined) {
      isStopping = true;
      stop(why);
      return;
    }
    isDraining = true;
    const done = (): void => {
      // A second signal did not wait for this.
      if (isStopping) return;
      isStopping = true;
      stop(why);
    };
    inBackground(() => drained.then(done, done));
  };
}
