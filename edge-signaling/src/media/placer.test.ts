import { PLACED_PEER, PlenaryError } from '@plenary/cluster';
import { edge, peer } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { ROOM } from '../testing/edge-parts.ts';
import { placing, TRANSPORT } from '../testing/placing.ts';

describe('Placer', () => {
  it('[SE4] has nobody admitted whose session another edge took up since', async () => {
    const { parts, placer, requestOf, link } = await placing();
    const { peerId, epoch, holdEpoch } = await parts.place('ann', 'node');
    await parts.rooms.attachPeer(ROOM, peerId, epoch, edge('other'));
    const taken = await parts.rooms.placementOf(ROOM, peerId);
    const request = await requestOf({ replaces: epoch, heldUnder: () => holdEpoch });
    await expect(placer.host(request)).rejects.toMatchObject({ code: 'stale_epoch' });
    expect(await parts.rooms.placementOf(ROOM, peerId)).toEqual(taken);
    expect(link.asked).toEqual([]);
  });

  it('[SE11] replaces a live placement that its node was told to drop, rather than asking for it for ever', async () => {
    const { parts, placer, requestOf, link } = await placing();
    const first = await parts.place('ann', 'node');
    // A try before this one placed the peer, failed, and had the node drop it.
    const dropped = await parts.place('ann', 'node', first.epoch);
    link.answer = (_name, payload) => {
      if (PLACED_PEER.parse(payload).epoch <= dropped.epoch) throw new PlenaryError('stale_epoch');
      return { receiveTransport: TRANSPORT, consumers: [], failed: [] };
    };
    const hosted = await placer.host(await requestOf({ replaces: first.epoch }));
    expect(hosted.placement.epoch).toBeGreaterThan(dropped.epoch);
    expect(await parts.rooms.placementOf(ROOM, peer('ann'))).toEqual(hosted.placement);
  });

  it('[SE11] tries no node whose link is down, however many are still announced', async () => {
    const { parts, placer, requestOf, link } = await placing(['lost-1', 'lost-2', 'lost-3', 'lost-4']);
    for (const name of ['lost-1', 'lost-2', 'lost-3', 'lost-4']) parts.links.add(name).isUp = false;
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    for (const name of ['ann', 'bob', 'cid', 'dan']) {
      const { placement } = await placer.host(await requestOf({ peerId: peer(name) }));
      expect(placement.mediaNodeId).toBe('node');
    }
  });

  it('[PL3] yields to a placement that somebody else made meanwhile', async () => {
    const { parts, placer, requestOf, link } = await placing();
    const first = await parts.place('ann', 'node');
    const others = await parts.place('ann', 'node', first.epoch);
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    const hosted = await placer.host(await requestOf({ replaces: first.epoch }));
    expect(hosted.placement).toEqual(others);
  });
});
