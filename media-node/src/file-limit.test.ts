import { describe, expect, test, vi } from 'vitest';
import { fileFault, filesNeeded, WorkerFiles } from './file-limit.ts';
import { createMetrics } from './metrics.ts';
import { FileWatch } from '@plenary/cluster';

describe('the file limit of a media node', () => {
  const slice = { kind: 'explicit', portSlice: { firstPort: 20_000, lastPort: 20_099 } } as const;

  test('[AD14] must suffice for the ports of the slice', () => {
    expect(fileFault({ sliceSource: slice, workers: 4 }, 128)).toContain('need 224');
    expect(fileFault({ sliceSource: slice, workers: 4 }, 224)).toBeUndefined();
    const leased = { kind: 'leased', range: slice.portSlice, size: 50 } as const;
    expect(fileFault({ sliceSource: leased, workers: 2 }, 128)).toContain('need 176');
    expect(fileFault({ sliceSource: slice, workers: 4 }, undefined)).toBeUndefined();
    expect(filesNeeded(96, 1_000)).toEqual({ least: 224, most: 2_224 });
  });

  test('[AD15] is logged once each time that it is reached', async () => {
    vi.useFakeTimers();
    const said = vi.fn();
    const failures = [undefined, 'ENOENT', 'EMFILE', 'EMFILE'];
    const watch = new FileWatch(said, () => {
      const code = failures.shift();
      return code === undefined
        ? Promise.resolve()
        : Promise.reject(Object.assign(new Error(code), { code }));
    });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(said).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(said).toHaveBeenCalledTimes(1);
    failures.push('EMFILE');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(said).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(61_000);
    failures.push('EMFILE');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(said).toHaveBeenCalledTimes(2);
    watch.stop();
    vi.useRealTimers();
  });

  test('[AD16] of each worker is logged once when it is reached, and the worker’s files are counted', async () => {
    vi.useFakeTimers();
    const { workerFiles, registry } = createMetrics(false);
    const error = vi.fn();
    let open = 20;
    const files = new WorkerFiles(
      () => [
        { index: 0, pid: 10 },
        { index: 1, pid: 11 },
      ],
      { workerFiles },
      { error },
      (pid) => Promise.resolve(pid === 10 ? { open, limit: 1_024 } : undefined),
    );
    await vi.advanceTimersByTimeAsync(5_000);
    expect(error).not.toHaveBeenCalled();
    // A lowered limit may be below the number of open files.
    open = 1_030;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(error).toHaveBeenCalledTimes(1);
    expect(error).toHaveBeenCalledWith(
      { worker: 0, pid: 10, limit: 1_024 },
      expect.stringContaining('ulimit'),
    );
    expect(await registry.metrics()).toContain('plenary_media_worker_open_files{worker="0"} 1030');
    files.stop();
    vi.useRealTimers();
  });
});
