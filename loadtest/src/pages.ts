/** A server for test pages in real browsers. */
export { makeJoinToken } from './join-token.ts';
export { startPageServer, type PageServer } from './page-server.ts';
export { percentile, summarise, type Summary } from './bench-join/statistics.ts';
export { figure, formatTable } from './table.ts';
export { describeMachine } from './bench-join/machine.ts';
export { cpuSecondsOf } from './bench-join/process-cpu.ts';
