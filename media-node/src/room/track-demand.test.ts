import { TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { WantedLayer } from '@plenary/cluster';
import { describe, expect, test } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { LOWER_DELAY_MS, TrackDemand } from './track-demand.ts';

function demand() {
  const timers = new ManualTimers();
  const told: WantedLayer[] = [];
  return { timers, told, demand: new TrackDemand(timers, (wanted) => told.push(wanted)) };
}

describe('the demand for a track', () => {
  test('[DM1] [DM6] is the highest of its holders’ demands; it rises at once and falls after a delay', () => {
    const { timers, told, demand: track } = demand();
    const [one, two] = [track.add(), track.add()];
    one.setWanted(0);
    two.setWanted(1);
    expect(told).toEqual([]);
    timers.advance(LOWER_DELAY_MS);
    expect(told).toEqual([1]);
    one.setWanted(2);
    expect(told).toEqual([1, 2]);
    one.setWanted(null);
    two.setWanted(null);
    timers.advance(LOWER_DELAY_MS);
    expect(told).toEqual([1, 2, null]);
  });

  test('[DM6] does not fall when it rises again meanwhile, and falls to the demand at that time', () => {
    const { timers, told, demand: track } = demand();
    const hold = track.add();
    hold.setWanted(0);
    timers.advance(LOWER_DELAY_MS - 1);
    hold.setWanted(TOP_SPATIAL_LAYER);
    timers.advance(LOWER_DELAY_MS);
    expect(told).toEqual([]);
    hold.setWanted(0);
    timers.advance(LOWER_DELAY_MS - 1);
    hold.setWanted(1);
    timers.advance(1);
    expect(told).toEqual([1]);
  });

  test('[DM6] falls at once for a pipe, which has waited already, and to null without holders', () => {
    const { timers, told, demand: track } = demand();
    const hold = track.add('pipe');
    hold.setWanted(1);
    expect(told).toEqual([1]);
    hold.release();
    hold.release();
    expect(told).toEqual([1, null]);
    expect(track.holderCount).toBe(0);
    track.add().release();
    track.close();
    timers.advance(LOWER_DELAY_MS);
    expect(told).toEqual([1, null, TOP_SPATIAL_LAYER]);
    expect(timers.pendingCount).toBe(0);
  });
});
