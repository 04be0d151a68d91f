import { CONSUMER_ID, MEDIA_NODE_ID, PEER_ID, TRACK_ID } from '@plenary/cluster';
import type { TrackHome } from '@plenary/cluster';
import { describe, expect, test, vi } from 'vitest';
import type { ClientTransport } from '../engine/engine.ts';
import { ManualTimers } from '../testing/manual-timers.ts';
import { mediaRequest, vp8Parameters } from '../testing/rtp.ts';
import { MAX_CONSUMERS_PER_PEER, STRAGGLERS_MS, SUPERSEDED_FOR_MS, PeerConsumers } from './peer-consumers.ts';

const CAMERA: TrackHome = {
  trackId: TRACK_ID.parse('camera'),
  peerId: PEER_ID.parse('ann'),
  kind: 'video',
  source: 'camera',
  homeNodeId: MEDIA_NODE_ID.parse('home'),
};

const OF_DEAD_NODE: TrackHome = { ...CAMERA, trackId: TRACK_ID.parse('of-dead-node') };

function subscribed() {
  const timers = new ManualTimers();
  const supersede: (() => void)[] = [];
  const holds: { released: boolean }[] = [];
  const closed = vi.fn();
  const superseded = vi.fn();
  const calls: string[] = [];
  const failing = new Set<string>();
  const call = async (name: string): Promise<void> => {
    calls.push(name);
    return failing.has(name) ? Promise.reject(new Error(name)) : Promise.resolve();
  };
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
        setPaused: async () => call('paused'),
        setPreferredLayers: async () => call('layers'),
        setPriority: async () => call('priority'),
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
  const subscriptions = new PeerConsumers({
    rtpCapabilities: mediaRequest().rtpCapabilities,
    receive: Promise.resolve(transport),
    timers,
    reach: (track, onSuperseded) => {
      if (track === OF_DEAD_NODE) return new Promise(() => undefined);
      supersede.push(onSuperseded);
      const hold = { released: false };
      holds.push(hold);
      return Promise.resolve({
        producerId: `copy-${holds.length}`,
        isPathLost: () => false,
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
  return { subscriptions, timers, supersede, holds, closed, superseded, add, calls, failing };
}

describe('subscriptions that are requested together', () => {
  const DEADLINE_MS = 3_000;

  async function ask(tracks: readonly TrackHome[]) {
    const { subscriptions, timers } = subscribed();
    const answered = vi.fn();
    const answer = subscriptions.add(tracks, () => false, DEADLINE_MS);
    answer.then(answered, answered);
    /** Advances time, and lets pending promises resolve. */
    const advance = async (byMs: number): Promise<void> => {
      timers.advance(byMs);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await advance(0);
    return { answer, answered, advance, timers };
  }

  test('[PI20] are answered soon after the first one opens, whatever happens to the others', async () => {
    const { answer, answered, advance, timers } = await ask([OF_DEAD_NODE, CAMERA]);
    await advance(STRAGGLERS_MS - 1);
    expect(answered).not.toHaveBeenCalled();
    await advance(1);
    expect(await answer).toMatchObject({
      consumers: [{ trackId: 'camera' }],
      failed: [{ trackId: 'of-dead-node', error: { code: 'timed_out', retryable: true } }],
    });
    expect(timers.pendingCount).toBe(0);
  });

  test('[PI21] are waited for until the deadline while none is open', async () => {
    const { answered, advance } = await ask([OF_DEAD_NODE]);
    await advance(DEADLINE_MS - 1);
    expect(answered).not.toHaveBeenCalled();
    await advance(1);
    expect(answered).toHaveBeenCalledOnce();
  });
});

describe('a subscription whose track takes another path', () => {
  test('[GW20] is announced once, and a repeat gives another consumer beside it', async () => {
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

  test('[GW18] ends after a while if its client does nothing, and the client is notified', async () => {
    const { timers, supersede, holds, closed, add } = subscribed();
    await add();
    supersede[0]?.();
    timers.advance(SUPERSEDED_FOR_MS - 1);
    expect(holds).toEqual([{ released: false }]);
    timers.advance(1);
    expect(holds).toEqual([{ released: true }]);
    expect(closed.mock.calls).toEqual([['consumer-1', 'camera', false]]);
    expect(await add()).toEqual(['consumer-2']);
  });

  test('[GW20] is announced again to another edge, until it is closed', async () => {
    const { subscriptions, timers, supersede, superseded, closed, add } = subscribed();
    await add();
    subscriptions.notifySuperseded();
    expect(superseded).not.toHaveBeenCalled();
    supersede[0]?.();
    subscriptions.notifySuperseded();
    expect(superseded).toHaveBeenCalledTimes(2);
    subscriptions.remove([CONSUMER_ID.parse('consumer-1')]);
    subscriptions.notifySuperseded();
    timers.advance(SUPERSEDED_FOR_MS);
    expect(superseded).toHaveBeenCalledTimes(2);
    expect(closed).not.toHaveBeenCalled();
  });
});

test('[MS6] a peer has a limited number of consumers; one more is refused and the others continue', async () => {
  const { subscriptions } = subscribed();
  const tracks = Array.from({ length: MAX_CONSUMERS_PER_PEER + 1 }, (_, index) => ({
    ...CAMERA,
    trackId: TRACK_ID.parse(`camera-${index}`),
  }));
  const { consumers, failed } = await subscriptions.add(tracks, () => false, 1_000);
  expect(consumers).toHaveLength(MAX_CONSUMERS_PER_PEER);
  expect(failed).toMatchObject([{ error: { code: 'limit_reached' } }]);
  subscriptions.remove([...consumers.slice(0, 1)].map(({ consumerId }) => consumerId));
  const freed = await subscriptions.add(tracks.slice(-1), () => false, 1_000);
  expect(freed.consumers).toHaveLength(1);
});

describe('a change of a consumer', () => {
  const consumerId = CONSUMER_ID.parse('consumer-1');
  const changes = { consumerId, paused: true, priority: 5, preferredLayers: { spatialLayer: 1 } };

  test('[BU44] takes no call if nothing changes', async () => {
    const { subscriptions, add, calls } = subscribed();
    await add();
    expect(subscriptions.countChanges([changes])).toBe(3);
    await subscriptions.update([changes]);
    expect(calls).toEqual(['layers', 'priority', 'paused']);
    expect(subscriptions.countChanges([changes])).toBe(0);
    await subscriptions.update([changes, { consumerId, paused: true }]);
    expect(calls).toHaveLength(3);
    const others = [
      { consumerId, paused: false },
      { consumerId, preferredLayers: { spatialLayer: 1, temporalLayer: 0 } },
    ];
    expect(subscriptions.countChanges(others)).toBe(2);
    await subscriptions.update(others);
    expect(calls.slice(3)).toEqual(['paused', 'layers']);
    expect(subscriptions.countChanges([{ ...changes, consumerId: CONSUMER_ID.parse('gone') }])).toBe(0);
  });

  test('[BU45] is made again after a failure when it is requested again', async () => {
    const { subscriptions, add, calls, failing } = subscribed();
    await add();
    failing.add('layers');
    await expect(subscriptions.update([changes])).rejects.toThrow('layers');
    failing.clear();
    await subscriptions.update([changes]);
    expect(calls).toEqual(['layers', 'priority', 'paused', 'layers']);
  });

  test('[BU44] does not count consumed tracks as new', async () => {
    const { subscriptions, add } = subscribed();
    expect(subscriptions.countNew([CAMERA, CAMERA])).toBe(1);
    await add();
    expect(subscriptions.countNew([CAMERA])).toBe(0);
  });
});
