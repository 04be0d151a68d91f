import { describe, expect, it } from 'vitest';
import { BeatWatch } from './beat-watch.ts';
import { ManualClock } from './clock.ts';

describe('BeatWatch', () => {
  it('[CL3] reports that three beats are missing', () => {
    const clock = new ManualClock();
    const watch = new BeatWatch({ clock, beatMs: 500, silentMs: 1_500 });
    for (let index = 0; index < 3; index += 1) {
      clock.advance(500);
      expect(watch.hasStopped()).toBe(false);
    }
    clock.advance(500);
    expect(watch.hasStopped()).toBe(true);
    watch.beat();
    expect(watch.hasStopped()).toBe(false);
  });

  it('[CL19] does not mistake its own standstill for the node’s', () => {
    const clock = new ManualClock();
    const watch = new BeatWatch({ clock, beatMs: 500, silentMs: 1_500 });
    clock.advance(10_000);
    expect(watch.hasStopped()).toBe(false);
    clock.advance(500);
    expect(watch.hasStopped()).toBe(false);
  });
});
