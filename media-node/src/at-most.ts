/** Waits for some work, and no longer than this; the work goes on. A failure in time is passed on. */
export async function atMost(waitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([work, enough]);
  clearTimeout(timer);
}
