import { describe, expect, test } from 'vitest';
import { adviceOnDeath, workerBinaryFault, workerStartFault } from './worker-binary.ts';

describe('the worker binary', () => {
  test('[WK8] one that is missing, or no program, is said with what to do', async () => {
    expect(await workerBinaryFault('/nowhere/mediasoup-worker')).toMatch(/\/nowhere.*MEDIASOUP_WORKER_BIN/);
    expect(await workerBinaryFault(import.meta.filename)).toContain(import.meta.filename);
    expect(await workerBinaryFault(process.execPath)).toBeUndefined();
  });

  test.each([
    ['EAGAIN', /pids\.max.*PLENARY_WORKERS/],
    ['ENOMEM', /memory.*PLENARY_WORKERS/],
    ['EMFILE', /ulimit -n/],
  ])('[WK19] a limit of the system that stops it (%s) is no fault of the binary', (code, toDo) => {
    const told = workerStartFault('/opt/mediasoup-worker', new Error(`spawn /opt/mediasoup-worker ${code}`));
    expect(told).toContain(code);
    expect(told).toMatch(toDo);
    expect(told).not.toContain('MEDIASOUP_WORKER_BIN');
  });

  test('[WK19] a worker that was killed says what most likely did it', () => {
    expect(adviceOnDeath('[pid:7, code:null, signal:SIGKILL]')).toContain('memory');
    expect(adviceOnDeath('[pid:7, code:null, signal:SIGSEGV]')).toBeUndefined();
  });
});
