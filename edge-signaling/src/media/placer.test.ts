import { PLACED_PEER, PlenaryError } from '@plenary/cluster';
import { edge, mediaNodeRecord, peer } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../testing/wait-for.ts';
import { ROOM } from '../testing/edge-parts.ts';
import { LAPSED_FOR_MS, placing, TRANSPORT } from '../testing/placing.ts';

describe('Placer', () => {
  it('[SE28] has nobody admitted whose session another edge took up since', async () => {
    const { parts, placer, requestOf, link } = await placing();
    const { peerId, epoch, holdEpoch } = await parts.place('ann', 'node');
    await parts.placements.attachPeer(ROOM, peerId, epoch, edge('other'));
    const taken = await parts.placements.placementOf(ROOM, peerId);
    const request = await requestOf({ replaces: epoch, knownHoldEpoch: () => holdEpoch });
    await expect(placer.host(request)).rejects.toMatchObject({ code: 'stale_epoch' });
    expect(await parts.placements.placementOf(ROOM, peerId)).toEqual(taken);
    expect(link.asked).toEqual([]);
  });

  it('[SE42] replaces a live placement that its node was told to drop, rather than asking for it for ever', async () => {
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
    expect(await parts.placements.placementOf(ROOM, peer('ann'))).toEqual(hosted.placement);
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

  it('[HL42] sends nobody else to a node that let an admission time out, while another one can take them', async () => {
    const { parts, placer, requestOf, link } = await placing(['mute']);
    const mute = parts.links.add('mute');
    const answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    link.answer = answer;
    mute.answer = () => {
      throw new PlenaryError('timed_out');
    };
    const names = Array.from({ length: 30 }, (_, index) => `peer-${index}`);
    const host = async (name: string) => placer.host(await requestOf({ peerId: peer(name) }));
    for (const name of names) expect((await host(name)).placement.mediaNodeId).toBe('node');
    expect(mute.payloads('peer.admit')).toHaveLength(1);
    // It is better than none at all, and is used again once it answers.
    link.isUp = false;
    mute.answer = answer;
    expect((await host('late')).placement.mediaNodeId).toBe('mute');
    link.isUp = true;
    for (const name of names) await host(`again-${name}`);
    expect(mute.payloads('peer.admit').length).toBeGreaterThan(2);
  });

  it('[HL43] those who wait for their turn at such a node go elsewhere at once', async () => {
    const { parts, placer, requestOf, link } = await placing(['mute']);
    const mute = parts.links.add('mute');
    // A small meeting stays on one node.
    await parts.place('first', 'mute');
    const timeUp = Promise.withResolvers<never>();
    mute.answer = () => timeUp.promise;
    const names = Array.from({ length: 8 }, (_, index) => `peer-${index}`);
    const hosting = names.map(async (name) => placer.host(await requestOf({ peerId: peer(name) })));
    await waitFor('two to be asked for', () => mute.payloads('peer.admit').length === 2);
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    parts.clock.advance(3_000);
    timeUp.reject(new PlenaryError('timed_out'));
    for (const { placement } of await Promise.all(hosting)) expect(placement.mediaNodeId).toBe('node');
    expect(mute.payloads('peer.admit')).toHaveLength(2);
  });

  it('[HL43] those who wait for their turn at the only node are asked for there, although an admission timed out', async () => {
    const { parts, placer, requestOf, link } = await placing();
    const timeUp = Promise.withResolvers<never>();
    link.answer = () => timeUp.promise;
    const names = Array.from({ length: 8 }, (_, index) => `peer-${index}`);
    const hosting = names.map(async (name) => placer.host(await requestOf({ peerId: peer(name) })));
    await waitFor('two to be asked for', () => link.payloads('peer.admit').length === 2);
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    parts.clock.advance(3_000);
    timeUp.reject(new PlenaryError('timed_out'));
    const hosted = await Promise.allSettled(hosting);
    expect(hosted.filter(({ status }) => status === 'fulfilled')).toHaveLength(6);
    expect(link.payloads('peer.admit')).toHaveLength(8);
  });

  it('[HL45] asks the same node again whose worker ended in the middle of an admission', async () => {
    const { placer, requestOf, link } = await placing();
    link.answer = () => {
      link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
      throw new PlenaryError('media_lost');
    };
    expect((await placer.host(await requestOf({}))).placement.mediaNodeId).toBe('node');
  });

  it('[CL30] refuses nobody for a link that is down to the node of before, once the registry tells of the one of now', async () => {
    const { parts, placer, requestOf, link } = await placing();
    link.isUp = false;
    parts.onRead = () => {
      link.isUp = true;
    };
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    expect((await placer.host(await requestOf({}))).placement.mediaNodeId).toBe('node');
  });

  it('[PL15] goes on using a node whose entry lapsed, as long as its link is up, but not for ever', async () => {
    const { parts, registry, directory, placer, requestOf, link } = await placing();
    link.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    const host = async (name: string) => placer.host(await requestOf({ peerId: peer(name) }));
    const lapse = async (): Promise<void> => {
      for (const { mediaNodeId, incarnation } of directory.mediaNodes)
        await registry.withdrawMediaNode(mediaNodeId, incarnation);
      await directory.refresh();
      expect(directory.mediaNodes).toEqual([]);
    };
    await lapse();
    const { placement, offer } = await host('ann');
    expect([placement.mediaNodeId, offer.datacenter]).toEqual(['node', mediaNodeRecord('node').datacenter]);

    link.isUp = false;
    await expect(host('bob')).rejects.toMatchObject({ code: 'no_media_node' });
    link.isUp = true;
    await registry.announceMediaNode({ ...mediaNodeRecord('node'), state: 'draining' }, 60_000);
    await directory.refresh();
    await lapse();
    await expect(host('cid')).rejects.toMatchObject({ code: 'no_media_node' });

    await registry.announceMediaNode(mediaNodeRecord('node'), 60_000);
    await directory.refresh();
    await lapse();
    parts.clock.advance(LAPSED_FOR_MS);
    await directory.refresh();
    await host('dan');
    parts.clock.advance(1);
    await directory.refresh();
    await expect(host('eve')).rejects.toMatchObject({ code: 'no_media_node' });
  });

  it('[PL15] prefers a node that is announced to one that lapsed', async () => {
    const { parts, registry, directory, placer, requestOf, link } = await placing(['other']);
    const other = parts.links.add('other');
    for (const each of [link, other])
      each.answer = () => ({ receiveTransport: TRANSPORT, consumers: [], failed: [] });
    for (const { mediaNodeId, incarnation } of directory.mediaNodes)
      if (mediaNodeId === 'other') await registry.withdrawMediaNode(mediaNodeId, incarnation);
    await directory.refresh();
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
