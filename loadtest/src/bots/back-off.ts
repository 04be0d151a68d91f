import { RETRY_BACKOFF, fullJitterMs } from '@plenary/web/client';

/** Waits before another attempt, with the web client's delays. @param attempt - 0 for the first */
export async function backOff(attempt: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, fullJitterMs(attempt, RETRY_BACKOFF, Math.random())));
}
