/** Bounds of a full-jitter back-off. */
export interface BackoffBounds {
  /** Longest wait before the first attempt, in milliseconds; it doubles with each attempt. */
  readonly baseMs: number;
  /** No wait is longer than this, in milliseconds. */
  readonly capMs: number;
}

/** Back-off of reconnecting: the first attempt comes soon, yet thousands that lost one edge do not come at once. */
export const RECONNECT_BACKOFF: BackoffBounds = { baseMs: 250, capMs: 10_000 };
/** Back-off of a request that was answered with a retryable error. */
export const RETRY_BACKOFF: BackoffBounds = { baseMs: 500, capMs: 8_000 };

/**
 * How long to wait before an attempt: anything between nothing and a bound that doubles ("full jitter"), so that
 * clients that failed together do not come back together. By hand: `p-retry` repeats one function until it succeeds, while each of our
 * loops asks before an attempt whether the meeting still wants it, and is woken by what changes.
 *
 * @param attempt - 0 for the first
 * @param random - a number in [0, 1)
 */
export function fullJitterMs(attempt: number, bounds: BackoffBounds, random: number): number {
  const bound = Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(Math.max(attempt, 0), 30));
  return Math.floor(random * bound);
}

const CONNECT_TIMEOUT_MS = 4_000;
const LONGEST_CONNECT_TIMEOUT_MS = 16_000;

/**
 * How long an attempt to connect may take, in milliseconds: longer with each one that failed. Edges that thousands come to
 * at once are slow before they are dead, and whoever gives up early makes them do the same work again.
 *
 * @param attempt - 0 for the first
 */
export function connectTimeoutMs(attempt: number): number {
  return Math.min(LONGEST_CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS * 2 ** Math.min(Math.max(attempt, 0), 30));
}
