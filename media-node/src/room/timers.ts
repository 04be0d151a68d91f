import { after } from '@plenary/cluster';
/** Waiting as a port, so that graces and lingers can be tested without waiting. */
export interface Timers {
  /** Calls `action` once after `delayMs`; the returned function takes it back. */
  after(delayMs: number, action: () => void): () => void;
}

export const systemTimers: Timers = {
  after: (delayMs, action) => {
    const timer = after(delayMs, action);
    return () => {
      clearTimeout(timer);
    };
  },
};
