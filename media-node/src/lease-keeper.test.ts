import {
  CONTROL_VERSION,
  DATACENTER_ID,
  MEDIA_NODE_ID,
  ManualClock,
  MemoryRegistry,
  PlenaryError,
  mintIncarnation,
  silentLogger,
} from '@plenary/cluster';
import type { MediaNodeRecord, Registry } from '@plenary/cluster';
import { describe, expect, test, vi } from 'vitest';
import { LeaseKeeper } from './lease-keeper.ts';
import { createMetrics } from './metrics.ts';

const LEASE_MS = 90;

function record(id: string, firstPort: number): MediaNodeRecord {
  return {
    mediaNodeId: MEDIA_NODE_ID.parse(id),
    incarnation: mintIncarnation(),
    datacenter: DATACENTER_ID.parse('gra'),
    controlVersion: CONTROL_VERSION,
    controlUrl: 'http://127.0.0.1:4001',
    announcedAddress: '192.0.2.1',
    portSlice: { firstPort, lastPort: firstPort + 99 },
    state: 'serving',
    load: { workerCpu: 0, controlCpu: 0, bandwidth: 0, packets: 0 },
    recentJoins: 0,
    isUnreached: false,
    isSurelyUnreached: false,
    reportedAtMs: 0,
    peerCount: 0,
    maxPeers: 10,
  };
}

function keeper(registry: Registry, own: MediaNodeRecord, clock?: ManualClock, isEmpty = () => true) {
  const metrics = createMetrics(false);
  const onRefused = vi.fn();
  const lease = new LeaseKeeper({
    registry,
    mediaNodeId: own.mediaNodeId,
    incarnation: own.incarnation,
    leaseMs: LEASE_MS,
    clock: clock ?? { wallMs: () => Date.now(), monotonicMs: () => performance.now() },
    metrics,
    logger: silentLogger(),
    onRefused,
  });
  return { lease, start: () => lease.start({ record: () => own, isEmpty }), onRefused };
}

describe('the lease', () => {
  test('[RG3] an overlapping slice is refused at once, with the other node and its slice', async () => {
    const registry = new MemoryRegistry();
    await registry.announceMediaNode(record('other', 20_050), 60_000);
    const { start } = keeper(registry, record('own', 20_000));
    await expect(start()).rejects.toThrow(/media node other owns ports 20050-20149/);
  });

  test('[RG5] [RG7] the lease of an earlier incarnation is waited for; one that is renewed is refused', async () => {
    const registry = new MemoryRegistry();
    await registry.announceMediaNode(record('own', 20_000), LEASE_MS);
    const restarted = keeper(registry, record('own', 20_000));
    await restarted.start();
    expect(restarted.lease.missing()).toBeUndefined();
    const rival = keeper(registry, record('own', 20_000));
    await expect(rival.start()).rejects.toMatchObject({ code: 'id_taken' });
    await restarted.lease.stop();
    expect(await registry.liveMediaNodes()).toEqual([]);
  });

  test('[RG6] while the store is down the node starts without a lease, and gets it when the store answers again', async () => {
    const registry = new MemoryRegistry();
    const announce = vi
      .spyOn(registry, 'announceMediaNode')
      .mockRejectedValue(new PlenaryError('store_unavailable'));
    const clock = new ManualClock();
    const { lease, start } = keeper(registry, record('own', 20_000), clock);
    await start();
    expect(lease.missing()).toBe('lease_pending');
    announce.mockRestore();
    await lease.renew();
    expect(lease.missing()).toBeUndefined();
    clock.advance(LEASE_MS);
    expect(lease.missing()).toBe('lease_lapsed');
    await lease.stop();
  });

  test('[RG6] when the registry refuses it only after the store returned, the node must stop', async () => {
    const registry = new MemoryRegistry();
    await registry.announceMediaNode(record('other', 20_000), 60_000);
    const announce = vi
      .spyOn(registry, 'announceMediaNode')
      .mockRejectedValueOnce(new PlenaryError('store_unavailable'));
    const { lease, start, onRefused } = keeper(registry, record('own', 20_000));
    await start();
    announce.mockRestore();
    await lease.renew();
    expect(onRefused).toHaveBeenCalledOnce();
    await lease.stop();
  });

  test('[PS7] [PS22] a refusal ends the lease at once, and an empty node must stop', async () => {
    const registry = new MemoryRegistry();
    const own = record('own', 20_000);
    const refusal = {
      refused: 'port_slice_overlap',
      by: MEDIA_NODE_ID.parse('heir'),
      portSlice: own.portSlice,
    } as const;
    let isEmpty = false;
    const { lease, start, onRefused } = keeper(registry, own, undefined, () => isEmpty);
    await start();
    const announce = vi.spyOn(registry, 'announceMediaNode').mockResolvedValue(refusal);
    await lease.renew();
    expect(lease.missing()).toContain('lease_refused: media node heir owns ports 20000-20099');
    expect(onRefused).not.toHaveBeenCalled();
    isEmpty = true;
    await lease.renew();
    expect(onRefused).toHaveBeenCalledOnce();
    announce.mockRestore();
    await lease.stop();
  });

  test('[PS23] a node that stayed for its peers serves again when the other node left', async () => {
    const registry = new MemoryRegistry();
    const own = record('own', 20_000);
    const clock = new ManualClock();
    const { lease, start, onRefused } = keeper(registry, own, clock, () => false);
    await start();
    const announce = vi.spyOn(registry, 'announceMediaNode').mockResolvedValueOnce({ refused: 'id_taken' });
    await lease.renew();
    expect(lease.missing()).toContain('lease_refused');
    announce.mockRestore();
    await lease.renew();
    expect(lease.missing()).toBeUndefined();
    expect(onRefused).not.toHaveBeenCalled();
    await lease.stop();
  });
});
