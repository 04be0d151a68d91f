/** Waits until a condition holds. @throws Error that says what was still waited for */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`Still waiting for: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
