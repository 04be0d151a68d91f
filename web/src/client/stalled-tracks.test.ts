import { TRACK_ID, type TrackId } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  NEVER_CAME_AFTER_MS,
  SCREEN_STALLED_AFTER_MS,
  STALLED_AFTER_MS,
  StalledTracks,
  type WatchedFlow,
} from './stalled-tracks.ts';

const CHECK_MS = 500;

describe('StalledTracks', () => {
  const flows = new Map<string, WatchedFlow>();
  const moving = new Set<string>();
  let looks = 0;
  let stalled: readonly TrackId[];
  let tracks: StalledTracks;

  beforeEach(() => {
    vi.useFakeTimers();
    flows.clear();
    moving.clear();
    stalled = [];
    tracks = new StalledTracks({ flows: () => flows, changed: (now) => (stalled = [...now]) });
    tracks.start();
  });
  afterEach(() => {
    tracks.stop();
    vi.useRealTimers();
  });

  function add(id: string, peerId = id, source: WatchedFlow['source'] = 'camera'): void {
    let stamp: number | undefined;
    const addedMs = performance.now();
    moving.add(id);
    flows.set(id, {
      trackId: TRACK_ID.parse(`t-${id}`),
      peerId,
      source,
      stamp: () => {
        looks += 1;
        // A packet every 20 ms. One timer per packet would make this test slow for 500 people.
        const packets = Math.floor((performance.now() - addedMs) / 20);
        if (moving.has(id) && packets > 0) stamp = packets;
        return stamp;
      },
    });
  }

  test('[WB8] a track that stops is reported within three seconds, and again when it goes on', async () => {
    add('a');
    add('b');
    await vi.advanceTimersByTimeAsync(5_000);

    expect(stalled).toEqual([]);

    moving.delete('a');
    await vi.advanceTimersByTimeAsync(STALLED_AFTER_MS + 2 * CHECK_MS);

    expect(stalled).toEqual(['t-a']);

    await vi.advanceTimersByTimeAsync(20_000);

    expect(stalled).toEqual(['t-a']);

    moving.add('a');
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(stalled).toEqual([]);
  });

  test('[WB40] a track without a first packet is reported after a longer wait', async () => {
    add('lost');
    add('hidden', 'hidden', 'screen');
    for (const id of ['lost', 'hidden']) moving.delete(id);
    await vi.advanceTimersByTimeAsync(STALLED_AFTER_MS + 2 * CHECK_MS);

    expect(stalled).toEqual([]);

    await vi.advanceTimersByTimeAsync(NEVER_CAME_AFTER_MS);

    expect(stalled).toEqual(['t-lost', 't-hidden']);

    moving.add('lost');
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(stalled).toEqual(['t-hidden']);
  });

  test('[WB8] a track that was paused meanwhile, or that a suspended page missed, is not stalled', async () => {
    add('hidden');
    await vi.advanceTimersByTimeAsync(3_000);
    const hidden = flows.get('hidden');
    if (hidden === undefined) throw new Error('it was added');
    flows.delete('hidden');
    moving.delete('hidden');
    await vi.advanceTimersByTimeAsync(30_000);
    flows.set('hidden', hidden);
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(stalled).toEqual([]);

    add('slept');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.delete('slept');
    moving.add('hidden');
    // The machine sleeps: the clock goes on, and no timer runs.
    vi.setSystemTime(Date.now() + 60_000);
    const { now } = performance;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 60_000);
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(stalled).toEqual([]);

    vi.restoreAllMocks();
  });

  test('[WB43] microphones of people whose video arrives are not checked, and of many microphones only a few at a time', async () => {
    add('picture', 'ann', 'camera');
    add('voice', 'ann', 'microphone');
    moving.delete('voice');
    await vi.advanceTimersByTimeAsync(5_000);

    expect(stalled).toEqual([]);

    for (let person = 0; person < 500; person += 1) add(`p${person}`, `p${person}`, 'microphone');
    await vi.advanceTimersByTimeAsync(10_000);
    moving.delete('p499');
    looks = 0;
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(looks).toBeLessThanOrEqual(40);

    await vi.advanceTimersByTimeAsync(20_000);

    expect(stalled).toEqual(['t-p499']);
  });

  test('[WB41] a still screen is not stalled while its peer’s other tracks arrive, and is stalled if they do not', async () => {
    add('screen', 'ann', 'screen');
    add('voice', 'ann', 'microphone');
    await vi.advanceTimersByTimeAsync(5_000);
    moving.delete('screen');
    await vi.advanceTimersByTimeAsync(60_000);

    expect(stalled).toEqual([]);

    moving.delete('voice');
    await vi.advanceTimersByTimeAsync(STALLED_AFTER_MS + 2 * CHECK_MS);

    expect(stalled.toSorted()).toEqual(['t-screen', 't-voice']);
  });

  test('[WB42] a screen whose peer sends nothing else gets a longer time limit', async () => {
    add('screen', 'ann', 'screen');
    await vi.advanceTimersByTimeAsync(5_000);
    moving.delete('screen');
    await vi.advanceTimersByTimeAsync(STALLED_AFTER_MS + 2 * CHECK_MS);

    expect(stalled).toEqual([]);

    await vi.advanceTimersByTimeAsync(SCREEN_STALLED_AFTER_MS);

    expect(stalled).toEqual(['t-screen']);

    moving.add('screen');
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(stalled).toEqual([]);
  });

  test('[WB41] a screen with packets is not stalled, even if other tracks of its peer are', async () => {
    add('screen', 'ann', 'screen');
    add('voice', 'ann', 'microphone');
    await vi.advanceTimersByTimeAsync(5_000);
    moving.delete('voice');
    await vi.advanceTimersByTimeAsync(20_000);

    expect(stalled).toEqual(['t-voice']);
  });
});
