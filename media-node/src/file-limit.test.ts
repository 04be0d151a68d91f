import { describe, expect, test, vi } from 'vitest';
import { fileFault, filesNeeded } from './file-limit.ts';
import { FileWatch } from '@plenary/cluster';

describe('the file limit of a media node', () => {
  const slice = { kind: 'explicit', portSlice: { firstPort: 20_000, lastPort: 20_099 } } as const;

  test('[AD3] has to do for the ports of the slice', () => {
    expect(fileFault({ sliceSource: slice, workers: 4 }, 128)).toContain('need 224');
    expect(fileFault({ sliceSource: slice, workers: 4 }, 224)).toBeUndefined();
    const leased = { kind: 'leased', range: slice.portSlice, size: 50 } as const;
    expect(fileFault({ sliceSource: leased, workers: 2 }, 128)).toContain('need 176');
    expect(fileFault({ sliceSource: slice, workers: 4 }, undefined)).toBeUndefined();
    expect(filesNeeded(96, 1_000)).toEqual({ least: 224, most: 2_224 });
  });

  test('[AD3] is said once when it is reached', async () => {
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
    watch.stop();
    vi.useRealTimers();
  });
});
