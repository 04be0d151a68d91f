import { vi } from 'vitest';

/** Below the time that a unit test has, and far beyond what anything takes: a machine that stutters fails nothing. */
const PATIENCE_MS = 100_000;

/** Waits until an expectation holds; where it never does, its own error says why. */
export async function eventually(expectation: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(expectation, PATIENCE_MS);
}
