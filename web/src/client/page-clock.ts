/** The page's monotonic clock. */
export const pageClock = { monotonicMs: (): number => performance.now() };
