import { MemoryRoomLog, PlenaryError } from '@plenary/cluster';
import type { LoggedEvent, Placement } from '@plenary/cluster';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, ROOM, placedOf } from '../testing/edge-parts.ts';
import type { Departure } from './departures.ts';

const departureOf = (placement: Placement): Departure => ({
  placed: placedOf(placement),
  mediaNodeIds: [placement.mediaNodeId],
  reason: 'connection_lost',
  knownHoldEpoch: placement.holdEpoch,
  tenantId: undefined,
});

/** A room log that fails each removal until `answers` is set. */
class SilentLog extends MemoryRoomLog {
  answers = false;

  override removePeer(...command: Parameters<MemoryRoomLog['removePeer']>): Promise<LoggedEvent[]> {
    if (this.answers) return super.removePeer(...command);
    return Promise.reject(new PlenaryError('store_unavailable'));
  }
}

describe('Departures', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[SE32] retries a removal that failed, although the store never counted as down', async () => {
    const parts = new EdgeParts((rooms) => ({ roomLog: new SilentLog(rooms) }));
    const link = parts.links.add('node');
    const placement = await parts.place('ann', 'node');
    const departures = parts.departures();
    await departures.depart(departureOf(placement));
    expect(await parts.placements.placementOf(ROOM, placement.peerId)).toBeDefined();

    parts.roomLog.answers = true;
    await vi.advanceTimersByTimeAsync(10_000);

    expect(await parts.placements.placementOf(ROOM, placement.peerId)).toBeUndefined();
    expect(link.payloads('peer.drop')).toEqual([placedOf(placement)]);
    departures.stop();
  });

  it('[SE35] does not remove a peer that came back to this edge while the removal waited', async () => {
    const parts = new EdgeParts((rooms) => ({ roomLog: new SilentLog(rooms) }));
    const link = parts.links.add('node');
    const placement = await parts.place('ann', 'node');
    const departures = parts.departures();
    await departures.depart(departureOf(placement));
    parts.hold(placement);

    parts.roomLog.answers = true;
    await vi.advanceTimersByTimeAsync(10_000);

    expect(await parts.placements.placementOf(ROOM, placement.peerId)).toEqual(placement);
    expect(link.asked).toEqual([]);
    departures.stop();
  });

  it('[SE33] frees the transports of a placement that was replaced meanwhile, and none of the newer one', async () => {
    const parts = new EdgeParts();
    const link = parts.links.add('node');
    const first = await parts.place('ann', 'node');
    const second = await parts.place('ann', 'another', first.epoch);

    await parts.departures().depart(departureOf(first));

    expect(link.payloads('peer.drop')).toEqual([placedOf(first)]);
    expect(await parts.placements.placementOf(ROOM, second.peerId)).toEqual(second);
  });
});
