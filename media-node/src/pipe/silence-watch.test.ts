import { PlenaryError } from '@plenary/cluster';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { CHECK_INTERVAL_MS, SilenceWatch } from './silence-watch.ts';

describe('SilenceWatch', () => {
  let received: number;
  let sent: number | Error;
  let isFlowing: boolean;
  let timers: ManualTimers;
  let watch: SilenceWatch;
  const onSilent = vi.fn();
  const onFault = vi.fn();

  beforeEach(() => {
    vi.clearAllMocks();
    [received, sent, isFlowing] = [0, 0, true];
    timers = new ManualTimers();
    watch = new SilenceWatch({
      receivedBytes: () => Promise.resolve(received),
      sentBytes: () => (sent instanceof Error ? Promise.reject(sent) : Promise.resolve(sent)),
      isFlowing: () => isFlowing,
      timers,
      onFault,
      onSilent,
    });
  });

  async function look(times: number, sending = 0): Promise<void> {
    for (let count = 0; count < times; count += 1) {
      if (typeof sent === 'number') sent += sending;
      timers.advance(CHECK_INTERVAL_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('[PI14] reports once, after ten seconds, that nothing arrives of what the home sends', async () => {
    await look(2, 1_000);
    expect(onSilent).not.toHaveBeenCalled();
    await look(1, 1_000);
    expect(onSilent).toHaveBeenCalledTimes(1);
    await look(5, 1_000);
    expect(onSilent).toHaveBeenCalledTimes(1);
    expect(timers.pendingCount).toBe(0);
  });

  it('[PI27] reports no pipe whose home sends nothing, and keeps checking', async () => {
    await look(100);
    expect(onSilent).not.toHaveBeenCalled();
    await look(3, 1_000);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  it('[PI27] reports neither packets lost before the publisher pauses, nor a track without viewers', async () => {
    await look(1, 100);
    await look(20);
    isFlowing = false;
    await look(20, 1_000);
    expect(onSilent).not.toHaveBeenCalled();
  });

  it('[PI14] continues when the home does not answer', async () => {
    sent = new PlenaryError('timed_out');
    await look(3);
    expect(onFault).toHaveBeenCalledTimes(3);
    sent = 0;
    await look(3, 1_000);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  it('[PI14] ends with the first bytes, and with the pipe', async () => {
    await look(2, 1_000);
    received = 1;
    await look(1, 1_000);
    expect([onSilent.mock.calls.length, timers.pendingCount]).toEqual([0, 0]);
    watch.stop();
  });

  it('[PI14] reports nothing when the pipe closes during a check', async () => {
    await look(2, 1_000);
    sent = 3_000;
    timers.advance(CHECK_INTERVAL_MS);
    watch.stop();
    await new Promise((resolve) => setImmediate(resolve));
    expect([onSilent.mock.calls.length, timers.pendingCount]).toEqual([0, 0]);
  });
});
