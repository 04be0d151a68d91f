import { PlenaryError, TOP_SPATIAL_LAYER } from '@plenary/cluster';
import type { PreferredLayers } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LayerStart, LOOK_AGAIN_MS } from './layer-start.ts';

const [FIRST_LOOK_MS = 0, SECOND_LOOK_MS = 0] = LOOK_AGAIN_MS;

function starting(preferredLayers: PreferredLayers = { spatialLayer: TOP_SPATIAL_LAYER }) {
  const consumer = {
    closed: false,
    isOn: true,
    isWhole: false,
    preferredLayers,
    setPreferredLayers: vi.fn((_layers: PreferredLayers) => Promise.resolve()),
  };
  const onFault = vi.fn();
  const start = new LayerStart(consumer, onFault);
  const told = () => consumer.setPreferredLayers.mock.calls.map(([layers]) => layers);
  return { consumer, start, told, onFault };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('[DM5] a consumer of several layers that begins', () => {
  test('has its layers chosen again twice, by another temporal layer and back', () => {
    const { start, told } = starting();
    start.begin();
    vi.advanceTimersByTime(FIRST_LOOK_MS - 1);
    expect(told()).toEqual([]);
    vi.advanceTimersByTime(1);
    const twice = [
      { spatialLayer: TOP_SPATIAL_LAYER, temporalLayer: 0 },
      { spatialLayer: TOP_SPATIAL_LAYER },
    ];
    expect(told()).toEqual(twice);
    vi.advanceTimersByTime(SECOND_LOOK_MS);
    expect(told()).toEqual([...twice, ...twice]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('keeps what its viewer prefers', () => {
    const lowest = { spatialLayer: 1, temporalLayer: 0 };
    const { start, told } = starting(lowest);
    start.begin();
    vi.advanceTimersByTime(FIRST_LOOK_MS);
    expect(told()).toEqual([{ spatialLayer: 1, temporalLayer: 1 }, lowest]);
  });

  test.each([
    ['every frame comes', { isWhole: true }],
    ['it is paused', { isOn: false }],
    ['it is closed', { closed: true }],
  ])('costs no call when %s', (_when, state) => {
    const { consumer, start, told } = starting();
    start.begin();
    Object.assign(consumer, state);
    vi.advanceTimersByTime(SECOND_LOOK_MS);
    expect(told()).toEqual([]);
  });

  test('that begins again, or ends, leaves no timer behind', () => {
    const { start } = starting();
    start.begin();
    start.begin();
    expect(vi.getTimerCount()).toBe(LOOK_AGAIN_MS.length);
    start.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('reports a call that failed, unless it ended meanwhile', async () => {
    const { consumer, start, onFault } = starting();
    consumer.setPreferredLayers.mockRejectedValue(new PlenaryError('media_lost'));
    start.begin();
    await vi.advanceTimersByTimeAsync(FIRST_LOOK_MS);
    expect(onFault).toHaveBeenCalledOnce();
    start.begin();
    const late = Promise.withResolvers<void>();
    consumer.setPreferredLayers.mockReturnValue(late.promise);
    await vi.advanceTimersByTimeAsync(FIRST_LOOK_MS);
    consumer.closed = true;
    late.reject(new PlenaryError('media_lost'));
    await vi.advanceTimersByTimeAsync(0);
    expect(onFault).toHaveBeenCalledOnce();
  });
});
