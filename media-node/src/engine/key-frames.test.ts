import { describe, expect, test } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { metricBy } from '../testing/metric-values.ts';
import { KeyFrames } from './key-frames.ts';
import type { VideoConsumer } from './key-frames.ts';

class ScriptedConsumer implements VideoConsumer {
  readonly kind = 'video';
  readonly producerId: string;
  readonly type: VideoConsumer['type'];
  readonly currentLayers: VideoConsumer['currentLayers'];
  readonly paused: boolean;
  asked = 0;
  failsWith: Error | undefined;

  constructor(parts: Partial<VideoConsumer> = {}) {
    const { producerId = 'track', type = 'simulcast', paused = false, currentLayers } = parts;
    this.producerId = producerId;
    this.type = type;
    this.paused = paused;
    this.currentLayers = currentLayers;
  }

  async requestKeyFrame(): Promise<void> {
    this.asked += 1;
    if (this.failsWith !== undefined) throw this.failsWith;
    return Promise.resolve();
  }
}

const ofLayer = (spatialLayer: number, paused = false): ScriptedConsumer =>
  new ScriptedConsumer({ currentLayers: { spatialLayer }, paused });
const asked = (...consumers: readonly ScriptedConsumer[]): number[] => consumers.map((each) => each.asked);

describe('KeyFrames', () => {
  test('[NW5] requests one key frame per layer that a viewer receives, and none for other layers', () => {
    const keyFrames = new KeyFrames(createMetrics(false));
    const [low, alsoLow, high, paused] = [ofLayer(0), ofLayer(0), ofLayer(2), ofLayer(1, true)];
    const other = new ScriptedConsumer({ producerId: 'other' });
    for (const each of [low, alsoLow, high, paused, other]) keyFrames.add(each);
    keyFrames.requestForTrack('track');
    expect(asked(low, alsoLow).sort()).toEqual([0, 1]);
    expect(asked(high, paused, other)).toEqual([1, 0, 0]);
  });

  test('[NW5] requests only through the pipe if there is one', () => {
    const keyFrames = new KeyFrames(createMetrics(false));
    const [viewer, pipe] = [ofLayer(0), new ScriptedConsumer({ type: 'pipe' })];
    keyFrames.add(viewer);
    const forget = keyFrames.add(pipe);
    keyFrames.requestForTrack('track');
    expect(asked(viewer, pipe)).toEqual([0, 1]);
    forget();
    keyFrames.requestForTrack('track');
    expect(asked(viewer, pipe)).toEqual([1, 1]);
  });

  test('[MS34] counts failed requests, unless their consumer ended meanwhile', async () => {
    const metrics = createMetrics(false);
    const keyFrames = new KeyFrames(metrics);
    const [failing, gone] = [ofLayer(0), ofLayer(0)];
    failing.failsWith = new Error('no worker');
    // The error of a worker that does not know the consumer any more.
    gone.failsWith = Object.assign(new Error('Consumer not found'), { name: 'NotFoundError' });
    keyFrames.requestFor(gone);
    keyFrames.requestFor(failing);
    await new Promise(setImmediate);
    expect(await metricBy(metrics, 'plenary_errors_total', 'where')).toEqual({ 'consumer.keyFrame': 1 });
  });
});
