import { describe, expect, test } from 'vitest';
import { adviceOnDeath, workerBinaryFault, workerStartFault } from './worker-binary.ts';

describe('the worker binary', () => {
  test('[WK8] a missing or non-executable binary is reported with the remedy', async () => {
    expect(await workerBinaryFault('/nowhere/mediasoup-worker')).toMatch(/\/nowhere.*MEDIASOUP_WORKER_BIN/);
    expect(await workerBinaryFault(import.meta.filename)).toContain(import.meta.filename);
    expect(await workerBinaryFault(process.execPath)).toBeUndefined();
  });

  test.each([
    ['EAGAIN', /pids\.max.*PLENARY_WORKERS/],
    ['ENOMEM', /memory.*PLENARY_WORKERS/],
    ['EMFILE', /ulimit -n/],
  ])('[WK19] a system limit that stops it (%s) is not reported as a fault of the binary', (code, toDo) => {
    const told = workerStartFault('/opt/mediasoup-worker', new Error(`spawn /opt/mediasoup-worker ${code}`));
    expect(told).toContain(code);
    expect(told).toMatch(toDo);
    expect(told).not.toContain('MEDIASOUP_WORKER_BIN');
  });

  test('[WK19] the advice on a killed worker names the most likely cause', () => {
    expect(adviceOnDeath('[pid:7, code:null, signal:SIGKILL]')).toContain('memory');
    expect(adviceOnDeath('[pid:7, code:null, signal:SIGSEGV]')).toBeUndefined();
  });
});
