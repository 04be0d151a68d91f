import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 5;

/** Waits until something holds. @throws Error naming it when it does not within 30 s */
export async function waitUntil(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`waited 30 s for ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}
