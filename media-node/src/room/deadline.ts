import { PlenaryError } from '@plenary/cluster';

/**
 * Waits for a value at most `deadlineMs`. One that comes later is handed to `onLate`, so that what it holds is freed.
 * @throws PlenaryError `timed_out`; whatever `promise` rejects with before that
 */
export async function within<Value>(
  promise: Promise<Value>,
  deadlineMs: number,
  onLate: (value: Value) => void,
): Promise<Value> {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new PlenaryError('timed_out'));
    }, deadlineMs);
  });
  const watched = promise.then((value) => {
    if (late) onLate(value);
    return value;
  });
  try {
    return await Promise.race([watched, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
