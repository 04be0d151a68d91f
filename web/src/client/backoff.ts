/** Bounds of a full-jitter back-off. */
export interface BackoffBounds {
  /** Upper bound of the first wait, in milliseconds. It doubles with each attempt. */
  readonly baseMs: number;
  /** Upper bound of every wait, in milliseconds. */
  readonly capMs: number;
}

/** Back-off of reconnecting. The first attempt comes soon, but thousands of clients of a lost edge do not reconnect at the same moment. */
export const RECONNECT_BACKOFF: BackoffBounds = { baseMs: 250, capMs: 10_000 };
/** Back-off of a request that failed with a retryable error. */
export const RETRY_BACKOFF: BackoffBounds = { baseMs: 500, capMs: 8_000 };

/**
 * Returns the wait before an attempt, in milliseconds: a random value below a bound that doubles ("full jitter"), so that clients that
 * failed together do not retry together. `p-retry` does not fit: it repeats one function until it succeeds, while our loops first check
 * whether the attempt is still wanted, and other events can wake them.
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
 * Returns the time limit of an attempt to connect, in milliseconds. It grows with each failed attempt: in a reconnect storm edges are
 * slow but alive, and a client that gives up early makes the edge repeat the same work.
 *
 * @param attempt - 0 for the first
 */
export function connectTimeoutMs(attempt: number): number {
  return Math.min(LONGEST_CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS * 2 ** Math.min(Math.max(attempt, 0), 30));
}
