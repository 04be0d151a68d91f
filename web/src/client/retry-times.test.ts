import { PlenaryError } from '@plenary/cluster/errors';
import { TRACK_ID } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RETRY_BACKOFF } from './backoff.ts';
import { RetryTimes } from './retry-times.ts';

const track = TRACK_ID.parse('camera-b');
const other = TRACK_ID.parse('camera-c');
const retryable = new PlenaryError('media_unavailable');
const notFound = new PlenaryError('track_not_found');
const final = new PlenaryError('cannot_consume');

const LOWEST_RANDOM = 0;
const HIGHEST_RANDOM = 1 - Number.EPSILON;

/** How long the track has to wait for its next request, in milliseconds; `undefined` when it need not wait. */
function waitMsOf(retryTimes: RetryTimes, trackId = track): number | undefined {
  const retryAtMs = new Map(retryTimes).get(trackId);
  return retryAtMs === undefined ? undefined : retryAtMs - performance.now();
}

function failTimes(count: number, error: PlenaryError, random: number): RetryTimes {
  const retryTimes = new RetryTimes(() => random);
  for (let failures = 0; failures < count; failures += 1) retryTimes.failed(track, error);
  return retryTimes;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a track whose request failed with a retryable error', () => {
  test.each([1, 2, 3, 10, 100])('waits at least 100 ms after failure %i', (failures) => {
    const retryTimes = failTimes(failures, retryable, LOWEST_RANDOM);

    expect(waitMsOf(retryTimes)).toBe(100);
  });

  test.each([
    { failures: 1, longestMs: 1_100 },
    { failures: 2, longestMs: 2_100 },
    { failures: 3, longestMs: 4_100 },
    { failures: 4, longestMs: 100 + RETRY_BACKOFF.capMs },
    { failures: 100, longestMs: 100 + RETRY_BACKOFF.capMs },
  ])('waits less than $longestMs ms after failure $failures', ({ failures, longestMs }) => {
    const retryTimes = failTimes(failures, retryable, HIGHEST_RANDOM);

    expect(waitMsOf(retryTimes)).toBe(longestMs - 1);
  });

  test('is never given up', () => {
    const retryTimes = failTimes(100, retryable, HIGHEST_RANDOM);

    expect(retryTimes.isGivenUp(track)).toBe(false);
  });

  test('does not delay another track', () => {
    const retryTimes = failTimes(1, retryable, HIGHEST_RANDOM);

    expect(waitMsOf(retryTimes, other)).toBeUndefined();
  });
});

describe('a track that its node does not know', () => {
  test('is retried after the fifth failure, because the track may still be on its way to the node', () => {
    const retryTimes = failTimes(5, notFound, LOWEST_RANDOM);

    expect(waitMsOf(retryTimes)).toBe(100);
  });

  test('is given up after the sixth failure', () => {
    const retryTimes = failTimes(6, notFound, LOWEST_RANDOM);

    expect(retryTimes.isGivenUp(track)).toBe(true);
  });
});

test('a track whose request failed with a final error is given up at once', () => {
  const retryTimes = failTimes(1, final, LOWEST_RANDOM);

  expect([retryTimes.isGivenUp(track), waitMsOf(retryTimes)]).toEqual([true, Infinity]);
});

describe('a track whose consumer ended', () => {
  test('is requested at once if the track certainly goes on', () => {
    const retryTimes = new RetryTimes(() => HIGHEST_RANDOM);

    retryTimes.ended(track, true);

    expect(waitMsOf(retryTimes)).toBe(0);
  });

  test.each([
    { random: LOWEST_RANDOM, waitMs: 75 },
    { random: 0.5, waitMs: 112.5 },
    { random: HIGHEST_RANDOM, waitMs: 150 },
  ])('otherwise waits $waitMs ms for its own end to be announced (random $random)', ({ random, waitMs }) => {
    const retryTimes = new RetryTimes(() => random);

    retryTimes.ended(track, false);

    expect(waitMsOf(retryTimes)).toBeCloseTo(waitMs);
  });

  test('starts again with the shortest back-off, however often its requests failed before', () => {
    const retryTimes = failTimes(10, retryable, HIGHEST_RANDOM);
    retryTimes.ended(track, true);

    retryTimes.postpone(track);

    expect(waitMsOf(retryTimes)).toBe(1_099);
  });
});

describe('forgetting', () => {
  test('a forgotten track may be requested at once, also after a final error', () => {
    const retryTimes = failTimes(1, final, LOWEST_RANDOM);

    retryTimes.forget(track);

    expect([retryTimes.isGivenUp(track), waitMsOf(retryTimes)]).toEqual([false, undefined]);
  });

  test('only tracks that left the room are forgotten when the tracks of the room change', () => {
    const retryTimes = failTimes(1, final, LOWEST_RANDOM);
    retryTimes.failed(other, final);

    retryTimes.keep(new Map([[other, {}]]));

    expect([...retryTimes]).toEqual([[other, Infinity]]);
  });
});
