import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EdgeParts, placedOf } from '../testing/edge-parts.ts';

describe('PeerDrops', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('[SE6] still frees an older placement of a peer that came back under another one', async () => {
    const parts = new EdgeParts();
    const link = parts.links.add('node');
    link.isUp = false;
    const departures = parts.departures();
    const first = await parts.place('ann', 'node');
    await parts.drops.drop(first.mediaNodeId, placedOf(first));
    const second = await parts.place('ann', 'another', first.epoch);
    departures.cancel(placedOf(second));
    link.isUp = true;
    await parts.drops.retry(first.mediaNodeId);
    expect(link.payloads('peer.drop')).toEqual([placedOf(first)]);
    departures.stop();
    parts.drops.stop();
  });

  it('[SE6] frees a placement at a node that it had no link to yet, as soon as it has one', async () => {
    const parts = new EdgeParts();
    const placement = await parts.place('ann', 'late');
    await parts.drops.drop(placement.mediaNodeId, placedOf(placement));
    const link = parts.links.add('late');
    await parts.drops.retry(placement.mediaNodeId);
    expect(link.payloads('peer.drop')).toEqual([placedOf(placement)]);
    parts.drops.stop();
  });
});
