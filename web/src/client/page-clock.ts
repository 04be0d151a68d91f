/** The page's own clock, which only goes forward. */
export const pageClock = { monotonicMs: (): number => performance.now() };
