/** What both ends count of media so far, in bytes; `undefined` where nobody says. */
export interface MediaCounts {
  readonly sentByNode: number | undefined;
  readonly receivedByNode: number | undefined;
  /** By this client, counted before the media node was asked. */
  readonly sentByClient: number | undefined;
}

/** So much cannot all be on its way still, in bytes: several packets. */
const SENT_FOR_SURE_BYTES = 500;

/**
 * Whether the path between client and media node is broken, for a client to which nothing came between two counts: one of the
 * two sends, and the other gets nothing.
 */
export function isPathBroken(before: MediaCounts, now: MediaCounts): boolean {
  const growth = (count: keyof MediaCounts): number => (now[count] ?? NaN) - (before[count] ?? NaN);
  return (
    growth('sentByNode') > 0 ||
    (growth('sentByClient') >= SENT_FOR_SURE_BYTES && growth('receivedByNode') === 0)
  );
}
