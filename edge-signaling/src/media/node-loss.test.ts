import { mintIncarnation } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NODE_LOST_AFTER_MS } from './link-trouble.ts';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { MediaWatch } from './media-watch.ts';

async function watching() {
  const parts = new EdgeParts();
  const { placements, roomLog, localRooms, channel, metrics, reportFault } = parts;
  const watch = new MediaWatch({
    placements,
    roomLog,
    localRooms,
    directory: { mediaNodes: [] },
    channel,
    metrics,
    reportFault,
  });
  const socket = new RecordingSocket();
  parts.hold(await parts.place('ann', 'node'), socket);
  return { watch, socket, link: parts.links.add('node') };
}

describe('a media node whose link is down', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[CL3] counts as lost after a delay, which starts again after the link was up', async () => {
    const { watch, socket, link } = await watching();
    watch.onDown(link, 'broken');
    await vi.advanceTimersByTimeAsync(NODE_LOST_AFTER_MS.broken - 1);
    watch.onUp(link, mintIncarnation());
    await vi.advanceTimersByTimeAsync(60_000);

    watch.onDown(link, 'broken');
    await vi.advanceTimersByTimeAsync(NODE_LOST_AFTER_MS.broken - 1);
    expect(socket.told).not.toContain('media.lost');
    await vi.advanceTimersByTimeAsync(1);

    expect(socket.told.filter((name) => name === 'media.lost')).toHaveLength(1);
  });

  it('[CL18] counts as lost at once, and only once, when its host refuses connections', async () => {
    const { watch, socket, link } = await watching();
    watch.onDown(link, 'broken');

    watch.onDown(link, 'refused');
    await vi.advanceTimersByTimeAsync(0);

    expect(socket.told.filter((name) => name === 'media.lost')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.told.filter((name) => name === 'media.lost')).toHaveLength(1);
  });
});
