import { vi } from 'vitest';

/** Shorter than the timeout of a unit test, and long enough that a slow machine fails no test. */
const TIMEOUT_MS = 100_000;

/** Waits until an expectation holds. If it never does, the promise rejects with the error of the expectation. */
export async function eventually(expectation: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(expectation, TIMEOUT_MS);
}
