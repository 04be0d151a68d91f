export { systemTimers } from '@plenary/cluster';
export type { Timers } from '@plenary/cluster';
