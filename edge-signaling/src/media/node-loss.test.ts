import { mintIncarnation } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NODE_LOST_AFTER_MS } from './control-link.ts';
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

  it('[CL3] is lost after a while, unless its link is up again', async () => {
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

  it('[CL3] is lost at once when its host says that nobody listens there, and is lost once', async () => {
    const { watch, socket, link } = await watching();
    watch.onDown(link, 'broken');
    watch.onDown(link, 'refused');
    await vi.advanceTimersByTimeAsync(0);
    expect(socket.told.filter((name) => name === 'media.lost')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.told.filter((name) => name === 'media.lost')).toHaveLength(1);
  });
});
