import { EVENT_ID } from '@plenary/cluster/ids';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { newCounters } from './counters.ts';
import { GAP_TOLERANCE_MS, RoomLogSync, spreadMs } from './room-log-sync.ts';
import { chatEvent, snapshotOf } from './testing/fixtures.ts';

const PEOPLE = 500;

describe('requesting missing events', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function roomSyncWith(peerCount: number, requestedAtMs: number[]): RoomLogSync {
    const startMs = Date.now();
    const roomSync = new RoomLogSync({
      sync: () => {
        requestedAtMs.push(Date.now() - startMs);
        return new Promise(() => undefined);
      },
      changed: () => undefined,
      canSync: () => true,
      counters: newCounters(),
      log: { warn: () => undefined },
    });
    roomSync.receiveSnapshot(snapshotOf({ lastEventId: '100-0', peerCount }));
    return roomSync;
  }

  test('after a store lost the room, its clients request it spread over time, not all at once', async () => {
    const requestedAtMs: number[] = [];
    const clients = Array.from({ length: PEOPLE }, () => roomSyncWith(PEOPLE, requestedAtMs));

    for (const client of clients) client.receiveHead(EVENT_ID.parse('200-0'));
    await vi.advanceTimersByTimeAsync(GAP_TOLERANCE_MS + spreadMs(PEOPLE));

    expect(requestedAtMs).toHaveLength(PEOPLE);
    const perTenth = Array.from(
      { length: 10 },
      (_, tenth) =>
        requestedAtMs.filter(
          (ms) => Math.min(9, Math.floor((10 * (ms - GAP_TOLERANCE_MS)) / spreadMs(PEOPLE))) === tenth,
        ).length,
    );
    // A fair coin puts more than a fifth of 500 into one tenth once in ten thousand million runs.
    expect(Math.max(...perTenth)).toBeLessThan(PEOPLE / 5);
  });

  test('a client that alone has a gap requests the missing events without a spread', async () => {
    const requestedAtMs: number[] = [];
    const roomSync = roomSyncWith(PEOPLE, requestedAtMs);

    roomSync.receiveEvent(chatEvent('102-0', '101-0', 'ahead'));
    await vi.advanceTimersByTimeAsync(GAP_TOLERANCE_MS);

    expect(requestedAtMs).toEqual([GAP_TOLERANCE_MS]);
  });

  test('the spread grows with the room: under 20 ms for three people, at most 3 s', () => {
    expect(spreadMs(3)).toBeLessThan(20);
    expect(spreadMs(100_000)).toBe(3_000);
  });
});
