import { DATACENTER_ID, MEDIA_NODE_ID, MemoryRoomStores, PlenaryError } from '@plenary/cluster';
import type { GatewayStore } from '@plenary/cluster';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { placeSomebody, testRoom } from '../testing/test-node.ts';
import { GATEWAY_CHECK_MS, Gateways } from './gateways.ts';

const ROOM = testRoom('r');
const HOME = MEDIA_NODE_ID.parse('home');
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let gateways: GatewayStore;
let timers: ManualTimers;
const onSuperseded = vi.fn();
const onFault = vi.fn();

function gatewaysOf(name: string, store: GatewayStore = gateways) {
  return new Gateways({
    roomId: ROOM,
    ownNodeId: MEDIA_NODE_ID.parse(name),
    datacenter: DATACENTER_ID.parse('sbg'),
    gateways: store,
    timers,
    onSuperseded,
    onFault,
  });
}

beforeEach(async () => {
  vi.clearAllMocks();
  const stores = new MemoryRoomStores();
  gateways = stores.gateways;
  timers = new ManualTimers();
  await placeSomebody(stores.placements, ROOM);
});

describe('gateways', () => {
  test('[GW1] nodes agree on one gateway, and repeated requests of a node make one claim', async () => {
    const claimGateway = vi.spyOn(gateways, 'claimGateway');
    const [a, b] = [gatewaysOf('a'), gatewaysOf('b')];
    const found = await Promise.all([a.find(HOME), a.find(HOME), b.find(HOME)]);
    expect(new Set(found.map((gateway) => gateway?.mediaNodeId))).toEqual(new Set(['a']));
    expect(claimGateway).toHaveBeenCalledTimes(2);
    expect([await a.isOwn(HOME), await b.isOwn(HOME)]).toEqual([true, false]);
  });

  test('[GW3] a node whose gateway fails replaces it, and a later one finds the replacement', async () => {
    const [a, b, c] = [gatewaysOf('a'), gatewaysOf('b'), gatewaysOf('c')];
    const first = await a.find(HOME);
    if (first === undefined) throw new Error('a is the gateway');
    await Promise.all([b.find(HOME), c.find(HOME)]);
    await b.failed(HOME, first.epoch);
    await c.failed(HOME, first.epoch);
    expect((await b.find(HOME))?.mediaNodeId).toBe('b');
    expect((await c.find(HOME))?.mediaNodeId).toBe('b');
    // A failure of the old gateway does not count against the new one.
    await c.failed(HOME, first.epoch);
    expect((await c.find(HOME))?.mediaNodeId).toBe('b');
  });

  test('[GW9] a replaced gateway finds that out, and releases only its own claim', async () => {
    const [a, b] = [gatewaysOf('a'), gatewaysOf('b')];
    const first = await a.find(HOME);
    if (first === undefined) throw new Error('a is the gateway');
    await b.find(HOME);
    await b.failed(HOME, first.epoch);
    await b.find(HOME);
    timers.advance(GATEWAY_CHECK_MS);
    await settle();
    expect(onSuperseded.mock.calls).toEqual([[HOME]]);
    expect(await a.isOwn(HOME)).toBe(false);
    await a.release(HOME);
    expect((await gatewaysOf('c').find(HOME))?.mediaNodeId).toBe('b');
    await b.release(HOME);
    expect((await gatewaysOf('c').find(HOME))?.mediaNodeId).toBe('c');
  });

  test('[GW5] [GW15] a claim that the store lost is made again; an unreachable store changes nothing', async () => {
    const faulty = {
      claimGateway: vi.fn((claim: Parameters<GatewayStore['claimGateway']>[0]) =>
        gateways.claimGateway(claim),
      ),
      releaseGateway: gateways.releaseGateway.bind(gateways),
    };
    const a = gatewaysOf('a', faulty);
    const first = await a.find(HOME);
    if (first === undefined) throw new Error('a is the gateway');
    faulty.claimGateway.mockRejectedValueOnce(new PlenaryError('store_unavailable'));
    timers.advance(GATEWAY_CHECK_MS);
    await settle();
    expect(await a.isOwn(HOME)).toBe(true);
    await gateways.releaseGateway(ROOM, DATACENTER_ID.parse('sbg'), HOME, first.epoch);
    timers.advance(GATEWAY_CHECK_MS);
    await settle();
    expect((await gatewaysOf('b').find(HOME))?.mediaNodeId).toBe('a');
    expect(onSuperseded).not.toHaveBeenCalled();
    expect(onFault).not.toHaveBeenCalled();
    await a.release(HOME);
    expect(timers.pendingCount).toBe(0);
  });

  test('[GW13] while the store is unreachable no gateway is found, and the next request tries again', async () => {
    const claimGateway = vi.fn(() => Promise.reject(new PlenaryError('store_unavailable')));
    const a = gatewaysOf('a', { claimGateway, releaseGateway: gateways.releaseGateway.bind(gateways) });
    expect(await a.find(HOME)).toBeUndefined();
    expect(await a.find(HOME)).toBeUndefined();
    expect(claimGateway).toHaveBeenCalledTimes(2);
    expect(timers.pendingCount).toBe(0);
  });
});
