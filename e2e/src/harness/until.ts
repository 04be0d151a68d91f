import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 50;

/**
 * Waits until a check at the world satisfies a condition, and gives what was seen. When it does not come to pass, says
 * what was waited for and what was seen last.
 * @param deadlineMs - far beyond what a loaded machine needs: it only ends a test that would hang
 */
export async function until<Seen>(
  what: string,
  look: () => Promise<Seen> | Seen,
  holds: (seen: Seen) => boolean | Promise<boolean>,
  deadlineMs = 90_000,
): Promise<Seen> {
  const startedMs = performance.now();
  for (;;) {
    const seen = await look();
    if (await holds(seen)) return seen;
    if (performance.now() - startedMs > deadlineMs) {
      throw new Error(`Waited ${deadlineMs} ms for: ${what}. Last seen: ${JSON.stringify(seen)}`);
    }
    await delay(LOOK_EVERY_MS);
  }
}
