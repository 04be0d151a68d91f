import { describe, expect, test } from 'vitest';
import { workerBinaryFault } from './worker-binary.ts';

describe('the worker binary', () => {
  test('[WK8] one that is missing, or no program, is said with what to do', async () => {
    expect(await workerBinaryFault('/nowhere/mediasoup-worker')).toMatch(/\/nowhere.*MEDIASOUP_WORKER_BIN/);
    expect(await workerBinaryFault(import.meta.filename)).toContain(import.meta.filename);
    expect(await workerBinaryFault(process.execPath)).toBeUndefined();
  });
});
