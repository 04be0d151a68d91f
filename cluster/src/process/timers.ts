import type { Timers } from '../deadline.ts';
import { after } from './guarded-callbacks.ts';

export const systemTimers: Timers = {
  after: (delayMs, action) => {
    const timer = after(delayMs, action);
    return () => {
      clearTimeout(timer);
    };
  },
};
