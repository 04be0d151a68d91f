import { MemoryRecoveryStore } from '@plenary/cluster';
import type { RepublishedPeers } from '@plenary/cluster';
import { peer, room } from '@plenary/cluster/testing/samples';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, OWN_EDGE } from '../testing/edge-parts.ts';
import { Republisher } from './republisher.ts';

const ROOMS = 500;
const STORE_DISTANCE_MS = 30;
/** Rooms count as being rebuilt for so long, in which every owner is to publish (SPEC RC2). */
const REBUILD_MS = 3_000;

class FarStore extends MemoryRecoveryStore {
  published = 0;

  override async republishPeers(
    ...command: Parameters<MemoryRecoveryStore['republishPeers']>
  ): Promise<RepublishedPeers> {
    await new Promise((resolve) => setTimeout(resolve, STORE_DISTANCE_MS));
    this.published += 1;
    return super.republishPeers(...command);
  }
}

describe('Republisher', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[RC16] publishes 500 rooms to a store 30 ms away while they count as being rebuilt', async () => {
    const parts = new EdgeParts((rooms) => ({ recovery: new FarStore(rooms) }));
    const placement = await parts.place('ann', 'node');
    for (let index = 0; index < ROOMS; index += 1)
      parts.hold({ ...placement, peerId: peer(`peer-${index}`) }, undefined, room(`room-${index}`));
    const republisher = new Republisher({
      edgeId: OWN_EDGE,
      recovery: parts.recovery,
      entryReconciler: parts.entryReconciler,
      isStoreAvailable: () => true,
      localRooms: parts.localRooms,
      departures: parts.departures(),
      drops: parts.drops,
      channel: parts.channel,
      metrics: parts.metrics,
      reportFault: parts.reportFault,
    });
    const published = republisher.all();
    await vi.advanceTimersByTimeAsync(REBUILD_MS);
    expect(parts.recovery.published).toBe(ROOMS);
    await published;
    expect(parts.faults).toEqual([]);
  });
});
