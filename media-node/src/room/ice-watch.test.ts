import { describe, expect, test, vi } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { ICE_LOST_GRACE_MS, IceWatch } from './ice-watch.ts';

describe('[EP6] a peer whose network changes', () => {
  test('is kept when ICE reconnects within the grace, for each transport separately', () => {
    const timers = new ManualTimers();
    const onLost = vi.fn();
    const watch = new IceWatch<string>(timers, onLost);
    watch.changed('send', 'connected');
    watch.changed('send', 'disconnected');
    watch.changed('receive', 'disconnected');
    timers.advance(ICE_LOST_GRACE_MS - 1);
    watch.changed('send', 'connected');
    watch.changed('receive', 'connected');
    timers.advance(ICE_LOST_GRACE_MS * 2);
    expect(onLost).not.toHaveBeenCalled();
    watch.changed('receive', 'disconnected');
    watch.changed('receive', 'disconnected');
    timers.advance(ICE_LOST_GRACE_MS);
    expect(onLost).toHaveBeenCalledOnce();
  });

  test('is not judged any more once it is closed', () => {
    const timers = new ManualTimers();
    const onLost = vi.fn();
    const watch = new IceWatch<string>(timers, onLost);
    watch.changed('send', 'disconnected');
    watch.close();
    timers.advance(ICE_LOST_GRACE_MS);
    expect(onLost).not.toHaveBeenCalled();
    expect(timers.pendingCount).toBe(0);
  });
});
