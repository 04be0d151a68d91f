import { EVENT_ID } from '@plenary/cluster/ids';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { newCounters } from './counters.ts';
import { GAP_PATIENCE_MS, RoomLogSync, spreadMs } from './room-log-sync.ts';
import { chatEvent, snapshotOf } from './testing/fixtures.ts';

const PEOPLE = 500;

describe('asking for what is missing', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function keeperOf(peerCount: number, askedAtMs: number[]): RoomLogSync {
    const startMs = Date.now();
    const keeper = new RoomLogSync({
      sync: () => {
        askedAtMs.push(Date.now() - startMs);
        return new Promise(() => undefined);
      },
      changed: () => undefined,
      canSync: () => true,
      counters: newCounters(),
      log: { warn: () => undefined },
    });
    keeper.takeSnapshot(snapshotOf({ lastEventId: '100-0', peerCount }));
    return keeper;
  }

  test('a room that was rebuilt is asked for by its people one after the other, not all at once', async () => {
    const askedAtMs: number[] = [];
    const keepers = Array.from({ length: PEOPLE }, () => keeperOf(PEOPLE, askedAtMs));
    for (const keeper of keepers) keeper.takeHead(EVENT_ID.parse('200-0'));
    await vi.advanceTimersByTimeAsync(GAP_PATIENCE_MS + spreadMs(PEOPLE));
    expect(askedAtMs).toHaveLength(PEOPLE);
    const perTenth = Array.from(
      { length: 10 },
      (_, tenth) =>
        askedAtMs.filter(
          (ms) => Math.min(9, Math.floor((10 * (ms - GAP_PATIENCE_MS)) / spreadMs(PEOPLE))) === tenth,
        ).length,
    );
    // A fair coin puts more than a fifth of 500 into one tenth once in ten thousand million runs.
    expect(Math.max(...perTenth)).toBeLessThan(PEOPLE / 5);
  });

  test('a gap that only this client has is closed at once', async () => {
    const askedAtMs: number[] = [];
    keeperOf(PEOPLE, askedAtMs).takeEvent(chatEvent('102-0', '101-0', 'ahead'));
    await vi.advanceTimersByTimeAsync(GAP_PATIENCE_MS);
    expect(askedAtMs).toEqual([GAP_PATIENCE_MS]);
  });

  test('a small room does not wait', () => {
    expect(spreadMs(3)).toBeLessThan(20);
    expect(spreadMs(100_000)).toBe(3_000);
  });
});
