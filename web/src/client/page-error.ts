import { PlenaryError } from '@plenary/cluster/errors';

/** What was thrown on this page: an error of the cluster as it is, anything else as the browser's own, which is no fault of a server. */
export function toPageError(thrown: unknown): PlenaryError {
  return thrown instanceof PlenaryError
    ? thrown
    : new PlenaryError('browser_failed', undefined, { cause: thrown });
}
