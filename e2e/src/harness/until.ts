import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 50;

/**
 * Reads a state until it satisfies a condition. @returns that state @throws Error naming the condition and the last state
 * @param deadlineMs - only ends a test that would hang: far beyond what a loaded machine needs
 */
export async function until<Seen>(
  what: string,
  read: () => Promise<Seen> | Seen,
  holds: (seen: Seen) => boolean | Promise<boolean>,
  deadlineMs = 90_000,
): Promise<Seen> {
  const startedMs = performance.now();
  for (;;) {
    const seen = await read();
    if (await holds(seen)) return seen;
    if (performance.now() - startedMs > deadlineMs) {
      throw new Error(`Waited ${deadlineMs} ms for: ${what}. Last seen: ${JSON.stringify(seen)}`);
    }
    await delay(POLL_MS);
  }
}
