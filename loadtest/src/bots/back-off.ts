/** As the web client's own (`web/src/client/backoff.ts`). */
const RETRY_BASE_MS = 500;
const RETRY_CAP_MS = 8_000;

/** Waits before another attempt: anything up to a bound that doubles. @param attempt - 0 for the first */
export async function backOff(attempt: number): Promise<void> {
  const boundMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** attempt);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * boundMs));
}
