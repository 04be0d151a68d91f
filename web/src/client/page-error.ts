import { PlenaryError } from '@plenary/cluster/errors';

/** Keeps a cluster error as it is. Wraps anything else as `browser_failed`, because no server caused it. */
export function toPageError(thrown: unknown): PlenaryError {
  return thrown instanceof PlenaryError
    ? thrown
    : new PlenaryError('browser_failed', undefined, { cause: thrown });
}
