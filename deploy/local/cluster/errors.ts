/**
 * A failure of the local cluster that a person can act on: its message says what happened, what it means and what to
 * do. The command line prints it without a stack trace.
 */
export class LocalClusterError extends Error {
  override readonly name = 'LocalClusterError';
}
