import { CONSUMER_ID, MEDIA_NODE_ID, PEER_ID, TRACK_ID } from '@plenary/cluster';
import type { TrackHome } from '@plenary/cluster';
import { describe, expect, test, vi } from 'vitest';
import type { ClientTransport } from '../engine/engine.ts';
import { ManualTimers } from '../testing/manual-timers.ts';
import { mediaRequest, vp8Parameters } from '../testing/rtp.ts';
import { SUPERSEDED_FOR_MS, Subscriptions } from './subscriptions.ts';

const CAMERA: TrackHome = {
  trackId: TRACK_ID.parse('camera'),
  peerId: PEER_ID.parse('ann'),
  kind: 'video',
  source: 'camera',
  homeNodeId: MEDIA_NODE_ID.parse('home'),
};

function subscribed() {
  const timers = new ManualTimers();
  const supersede: (() => void)[] = [];
  const holds: { released: boolean }[] = [];
  const closed = vi.fn();
  const superseded = vi.fn();
  let made = 0;
  const transport: Pick<ClientTransport, 'consume'> = {
    consume: (_request, on) => {
      made += 1;
      let isClosed = false;
      const consumer = {
        id: CONSUMER_ID.parse(`consumer-${made}`),
        kind: 'video' as const,
        rtpParameters: vp8Parameters(),
        paused: false,
        producerPaused: false,
        setPaused: () => Promise.resolve(),
        setPreferredLayers: () => Promise.resolve(),
        setPriority: () => Promise.resolve(),
        get closed() {
          return isClosed;
        },
        close: () => {
          isClosed = true;
          on.closed('closed');
        },
      };
      return Promise.resolve(consumer);
    },
  };
  const subscriptions = new Subscriptions({
    rtpCapabilities: mediaRequest().rtpCapabilities,
    receive: Promise.resolve(transport),
    timers,
    reach: (_track, onSuperseded) => {
      supersede.push(onSuperseded);
      const hold = { released: false };
      holds.push(hold);
      return Promise.resolve({
        producerId: `copy-${holds.length}`,
        setWanted: () => undefined,
        release: () => {
          hold.released = true;
        },
      });
    },
    onConsumerClosed: closed,
    onSuperseded: superseded,
  });
  const add = async (): Promise<string[]> =>
    (await subscriptions.add([CAMERA], () => false, 1_000)).consumers.map(({ consumerId }) => consumerId);
  return { subscriptions, timers, supersede, holds, closed, superseded, add };
}

describe('a subscription whose track comes another way', () => {
  test('[GW6] is told once, and a repeat gives another consumer beside it', async () => {
    const { subscriptions, supersede, holds, superseded, add } = subscribed();
    expect(await add()).toEqual(['consumer-1']);
    expect(await add()).toEqual(['consumer-1']);
    supersede[0]?.();
    supersede[0]?.();
    expect(superseded.mock.calls).toEqual([['consumer-1', 'camera']]);
    expect(await add()).toEqual(['consumer-2']);
    expect(await add()).toEqual(['consumer-2']);
    expect(subscriptions.offers().map(({ consumerId }) => consumerId)).toEqual(['consumer-2']);
    subscriptions.remove([CONSUMER_ID.parse('consumer-1')]);
    expect(holds).toEqual([{ released: true }, { released: false }]);
    expect(await add()).toEqual(['consumer-2']);
  });

  test('[GW6] of a client that does nothing ends after a while, and it hears of that', async () => {
    const { timers, supersede, holds, closed, add } = subscribed();
    await add();
    supersede[0]?.();
    timers.advance(SUPERSEDED_FOR_MS - 1);
    expect(holds).toEqual([{ released: false }]);
    timers.advance(1);
    expect(holds).toEqual([{ released: true }]);
    expect(closed.mock.calls).toEqual([['consumer-1', 'camera']]);
    expect(await add()).toEqual(['consumer-2']);
  });

  test('[GW6] is told again to another edge, until it is let go', async () => {
    const { subscriptions, timers, supersede, superseded, closed, add } = subscribed();
    await add();
    subscriptions.tellSuperseded();
    expect(superseded).not.toHaveBeenCalled();
    supersede[0]?.();
    subscriptions.tellSuperseded();
    expect(superseded).toHaveBeenCalledTimes(2);
    subscriptions.remove([CONSUMER_ID.parse('consumer-1')]);
    subscriptions.tellSuperseded();
    timers.advance(SUPERSEDED_FOR_MS);
    expect(superseded).toHaveBeenCalledTimes(2);
    expect(closed).not.toHaveBeenCalled();
  });
});
