/** Media bytes counted at both ends so far; `undefined` when an end does not report its count. */
export interface MediaCounts {
  readonly sentByNode: number | undefined;
  readonly receivedByNode: number | undefined;
  /** Bytes sent by this client, read before the media node was asked. */
  readonly sentByClient: number | undefined;
}

/** Several packets, in bytes: more than can still be in flight. */
const MIN_SENT_BYTES = 500;

/**
 * Decides whether the path between client and media node is broken: one end sends and the other receives nothing. The caller
 * ensures that the client received nothing between the two counts.
 */
export function isPathBroken(before: MediaCounts, now: MediaCounts): boolean {
  const growth = (count: keyof MediaCounts): number => (now[count] ?? NaN) - (before[count] ?? NaN);
  return (
    growth('sentByNode') > 0 || (growth('sentByClient') >= MIN_SENT_BYTES && growth('receivedByNode') === 0)
  );
}
