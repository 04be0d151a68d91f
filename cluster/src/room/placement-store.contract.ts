/** What every version of the placement store must do. SPEC PL, EP, SE, SK. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { ROOM, joinRoom, placement, trackOf } from '../testing/rooms-under-test.ts';
import type { RoomsUnderTest } from '../testing/rooms-under-test.ts';
import { edge, mediaNode, peer, request, room, track } from '../testing/samples.ts';
import type { Placement } from './placement-store.ts';
import type { StoredTrack } from './room-log.ts';
import type { RoomStores } from './room-stores.ts';

export function describePlacementStore(version: string, open: () => Promise<RoomsUnderTest>): void {
  describe(`placements (${version})`, () => {
    let subject: RoomsUnderTest;
    let placements: RoomStores['placements'];
    let roomLog: RoomStores['roomLog'];
    beforeEach(async () => {
      subject = await open();
      ({ placements, roomLog } = subject.stores);
    });
    afterEach(() => subject.close());

    const join = async (name: string) => joinRoom(subject.stores, name);

    it('[PL3] a first placement yields to the one that exists, and keeps its epoch', async () => {
      const first = await placements.placePeer(placement('ann'));
      const again = await placements.placePeer(placement('ann', { mediaNodeId: mediaNode('node-b') }));
      expect(again).toEqual(first);
      expect(await placements.placementOf(ROOM, peer('ann'))).toEqual(first);
    });

    it('[TN1] rooms of one name and two tenants know nothing of each other', async () => {
      const others = room('standup', 'other');
      const ann = await join('ann');
      await roomLog.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch));
      await roomLog.postChat({
        roomId: ROOM,
        peerId: ann.peerId,
        requestId: request('hello'),
        text: 'hello',
      });
      const placed = await placements.placePeer(placement('ann', { roomId: others, maxPeers: 1 }));
      const self = { peerId: placed.peerId, displayName: 'Ann', role: 'speaker' } as const;
      const joined = await roomLog.joinPeer(others, self, placed.epoch);
      expect(joined.snapshot).toMatchObject({ peerCount: 1, tracks: [], chat: [] });
      expect(await roomLog.tracks(others, [track('camera')])).toEqual([]);
      await roomLog.removePeer(others, placed.peerId, placed.epoch, 'left');
      expect((await placements.view(others)).occupancy.peerCount).toBe(0);
      expect((await placements.view(ROOM)).occupancy.peerCount).toBe(1);
    });

    it('[PL3] many callers that place one peer at once get one answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 64 }, (_, index) =>
          placements.placePeer(placement('ann', { mediaNodeId: mediaNode(`node-${index}`) })),
        ),
      );
      expect(new Set(answers.map((answer) => `${answer.mediaNodeId} ${answer.epoch}`)).size).toBe(1);
    });

    it('[EP1] [EP8] a replacement gets a higher epoch; one of an epoch that is no longer live yields', async () => {
      const first = await placements.placePeer(placement('ann'));
      const moved = await placements.placePeer(
        placement('ann', { mediaNodeId: mediaNode('node-b'), replacesEpoch: first.epoch }),
      );
      expect(moved.epoch).toBeGreaterThan(first.epoch);
      expect(moved.mediaNodeId).toBe('node-b');
      expect(moved.requestId).toBe(first.requestId);
      const late = await placements.placePeer(
        placement('ann', { mediaNodeId: mediaNode('node-c'), replacesEpoch: first.epoch }),
      );
      expect(late).toEqual(moved);
    });

    it('[EP1] an epoch follows the store’s clock, so that a store that forgot its writes gives no old one', async () => {
      const first = await placements.placePeer(placement('ann'));
      await roomLog.removePeer(ROOM, peer('ann'), first.epoch, 'left');
      expect(await subject.leftOver()).toBe(0);
      const second = await placements.placePeer(placement('ann'));
      expect(second.epoch).toBeGreaterThan(first.epoch);
    });

    it('[PL4] a full room refuses a newcomer, but not a peer that it has', async () => {
      const first = await placements.placePeer(placement('ann', { maxPeers: 1 }));
      await expect(placements.placePeer(placement('bob', { maxPeers: 1 }))).rejects.toMatchObject({
        code: 'room_full',
      });
      expect(await placements.placePeer(placement('ann', { maxPeers: 1 }))).toEqual(first);
    });

    it('[TK11] [TK30] a person is in a room so often and no oftener, and again when one of them has left', async () => {
      const ofAnn = { subject: { digest: 'ann', maxPeers: 2 } };
      const first = await placements.placePeer(placement('ann-1', ofAnn));
      await placements.placePeer(placement('ann-2', ofAnn));
      const refused = { code: 'joined_too_often' };
      await expect(placements.placePeer(placement('ann-3', ofAnn))).rejects.toMatchObject(refused);
      expect(await placements.placePeer(placement('ann-1', ofAnn))).toEqual(first);
      await placements.placePeer(placement('ben', { subject: { digest: 'ben', maxPeers: 2 } }));
      await placements.placePeer(placement('somebody'));
      const moved = await placements.placePeer(placement('ann-1', { ...ofAnn, replacesEpoch: first.epoch }));
      await expect(placements.placePeer(placement('ann-3', ofAnn))).rejects.toMatchObject(refused);
      await roomLog.removePeer(ROOM, peer('ann-1'), moved.epoch, 'left');
      await placements.placePeer(placement('ann-3', ofAnn));
      await expect(placements.placePeer(placement('ann-4', ofAnn))).rejects.toMatchObject(refused);
    });

    it('[TK11] of many joins of one person at once no more get in than may', async () => {
      const subject = { digest: 'ann', maxPeers: 5 };
      const answers = await Promise.allSettled(
        Array.from({ length: 30 }, (_, index) =>
          placements.placePeer(placement(`ann-${index}`, { subject })),
        ),
      );
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    });

    it('[PL5] the view counts peers by node and lists tracks with their homes', async () => {
      const ann = await join('ann');
      await placements.placePeer(placement('bob', { mediaNodeId: mediaNode('node-b') }));
      const camera = trackOf('camera', ann.peerId, ann.epoch);
      await roomLog.publishTrack(ROOM, camera);
      const view = await placements.view(ROOM);
      expect(view.occupancy.peerCount).toBe(2);
      expect([...view.occupancy.peersByNode].sort()).toEqual([
        ['node-a', 1],
        ['node-b', 1],
      ]);
      expect(view.tracks).toEqual([camera]);
      expect((await placements.view(room('empty'))).occupancy.peerCount).toBe(0);
    });

    it('[SE27] [SE57] attaching notes the new edge and keeps the placement', async () => {
      const ann = await join('ann');
      await join('bob');
      const attached = await placements.attachPeer(ROOM, ann.peerId, ann.epoch, edge('edge-b'));
      expect(attached.self).toEqual(ann.self);
      expect(attached.peerCount).toBe(2);
      expect(attached.holdEpoch).toBeGreaterThan(ann.holdEpoch);
      expect(await placements.placementOf(ROOM, ann.peerId)).toMatchObject({
        edgeId: 'edge-b',
        mediaNodeId: 'node-a',
        epoch: ann.epoch,
        requestId: 'join-ann',
      });
      await expect(
        placements.attachPeer(ROOM, ann.peerId, EPOCH.parse(ann.epoch + 1), edge('edge-c')),
      ).rejects.toMatchObject({ code: 'stale_epoch' });
    });

    describe('a peer that moves', () => {
      const move = (name: string, keepsEpoch: Epoch, replacesEpoch = keepsEpoch): Promise<Placement> =>
        placements.placePeer(placement('ann', { mediaNodeId: mediaNode(name), replacesEpoch, keepsEpoch }));

      it('[EP7] publishes under both epochs until it has moved, and then under the higher one only', async () => {
        const ann = await join('ann');
        const old = trackOf('old', ann.peerId, ann.epoch);
        await roomLog.publishTrack(ROOM, old);
        const moved = await move('node-b', ann.epoch);
        expect(moved.epoch).toBeGreaterThan(ann.epoch);
        expect(await placements.placementOf(ROOM, ann.peerId)).toEqual(moved);
        const previous = { mediaNodeId: mediaNode('node-a'), epoch: ann.epoch };
        expect(await placements.previousPlacement(ROOM, ann.peerId)).toEqual(previous);
        await roomLog.publishTrack(ROOM, { ...old, paused: true });
        const successor = { ...trackOf('new', ann.peerId, moved.epoch), replaces: old.trackId };
        const [published] = await roomLog.publishTrack(ROOM, successor);
        expect(published?.event).toMatchObject({ type: 'track.published', track: { replaces: 'old' } });
        await roomLog.setTrackPaused(ROOM, successor.trackId, true);
        const tracks = await roomLog.tracks(ROOM, [old.trackId, successor.trackId]);
        expect(tracks).toEqual([
          { ...old, paused: true },
          { ...successor, paused: true },
        ]);

        await placements.completeMove(ROOM, ann.peerId, ann.epoch);
        expect(await placements.previousPlacement(ROOM, ann.peerId)).toEqual(previous);
        await placements.completeMove(ROOM, ann.peerId, moved.epoch);
        expect(await placements.previousPlacement(ROOM, ann.peerId)).toBeUndefined();
        await expect(roomLog.publishTrack(ROOM, old)).rejects.toMatchObject({ code: 'stale_epoch' });
        await roomLog.removePeer(ROOM, ann.peerId, moved.epoch, 'left');
        expect(await subject.leftOver()).toBe(0);
      });

      it('[EP7] [EP12] [EP13] keeps what it lives on over a second try, and a repeat of a move gives the same placement', async () => {
        const ann = await join('ann');
        const first = await move('node-b', ann.epoch);
        expect(await move('node-c', ann.epoch)).toEqual(first);
        const second = await move('node-c', ann.epoch, first.epoch);
        expect(second).toMatchObject({ mediaNodeId: 'node-c' });
        expect(await placements.previousPlacement(ROOM, ann.peerId)).toMatchObject({ epoch: ann.epoch });
        await expect(move('node-d', first.epoch, second.epoch)).rejects.toMatchObject({
          code: 'stale_epoch',
        });
        await placements.placePeer(placement('ann', { replacesEpoch: second.epoch }));
        expect(await placements.previousPlacement(ROOM, ann.peerId)).toBeUndefined();
      });

      it('[DR18] replaces only a track of its own, of the same source, that is there', async () => {
        const [ann, bob] = [await join('ann'), await join('bob')];
        await roomLog.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch));
        const others: StoredTrack[] = [
          { ...trackOf('stranger', bob.peerId, bob.epoch), replaces: track('camera') },
          { ...trackOf('screen', ann.peerId, ann.epoch), source: 'screen', replaces: track('camera') },
          { ...trackOf('late', ann.peerId, ann.epoch), replaces: track('gone') },
        ];
        for (const other of others) {
          const [published] = await roomLog.publishTrack(ROOM, other);
          expect(published?.event).not.toHaveProperty('track.replaces');
          expect((await roomLog.tracks(ROOM, [other.trackId]))[0]?.replaces).toBeUndefined();
        }
      });

      it('[EP5] [EP7] and leaves meanwhile leaves nothing behind', async () => {
        const [ann, bob] = [await join('ann'), await join('bob')];
        const moved = await move('node-b', ann.epoch);
        await roomLog.removePeer(ROOM, ann.peerId, moved.epoch, 'left');
        expect(await placements.previousPlacement(ROOM, ann.peerId)).toBeUndefined();
        await roomLog.removePeer(ROOM, bob.peerId, bob.epoch, 'left');
        expect(await subject.leftOver()).toBe(0);
      });
    });

    it('[SE28] a replacement under a hold yields to who took the session up since', async () => {
      const ann = await join('ann');
      const { holdEpoch } = await placements.attachPeer(ROOM, ann.peerId, ann.epoch, edge('edge-2'));
      const live = await placements.placementOf(ROOM, ann.peerId);
      const replace = (heldUnder: Epoch) =>
        placements.placePeer(placement('ann', { replacesEpoch: ann.epoch, heldUnder }));
      expect(await replace(ann.holdEpoch)).toEqual(live);
      expect((await replace(holdEpoch)).epoch).toBeGreaterThan(ann.epoch);
    });

    describe('tokens of sessions', () => {
      const inUse = async (): Promise<number> => (await join('ann')).tokenGeneration;
      const attach = async (epoch: Epoch, generation?: number) =>
        placements.attachPeer(ROOM, peer('ann'), epoch, edge('edge-2'), generation);

      it('[SK2] one that is used or confirmed ends those before it, and no others', async () => {
        const { epoch } = await join('ann');
        expect(await inUse()).toBe(0);
        await attach(epoch, 3);
        await attach(epoch, 3);
        await expect(attach(epoch, 2)).rejects.toMatchObject({ code: 'token_replayed' });
        await placements.confirmToken(ROOM, peer('ann'), 11);
        await placements.confirmToken(ROOM, peer('ann'), 4);
        expect(await inUse()).toBe(11);
        await expect(attach(epoch, 9)).rejects.toMatchObject({ code: 'token_replayed' });
        await attach(epoch);
        await attach(epoch, 12);
        expect(await inUse()).toBe(12);
      });

      it('[SK9] a token that is refused takes no session over', async () => {
        const { epoch } = await join('ann');
        await placements.confirmToken(ROOM, peer('ann'), 2);
        await expect(attach(epoch, 1)).rejects.toMatchObject({ code: 'token_replayed' });
        expect((await placements.placementOf(ROOM, peer('ann')))?.edgeId).toBe('edge-a');
      });

      it('[SK11] what is noted of a peer goes with it', async () => {
        const [{ epoch }, bob] = [await join('ann'), await join('bob')];
        await attach(epoch, 5);
        await roomLog.removePeer(ROOM, peer('ann'), epoch, 'left');
        await placements.confirmToken(ROOM, peer('ann'), 6);
        const again = await join('ann');
        expect(again.tokenGeneration).toBe(0);
        await roomLog.removePeer(ROOM, peer('ann'), again.epoch, 'left');
        await roomLog.removePeer(ROOM, peer('bob'), bob.epoch, 'left');
        await placements.confirmToken(ROOM, peer('bob'), 1);
        expect(await subject.leftOver()).toBe(0);
      });
    });

    it('[PL5] placements list everybody with edge and node', async () => {
      const ann = await join('ann');
      const all = await placements.all(ROOM);
      expect(all).toEqual([await placements.placementOf(ROOM, ann.peerId)]);
      expect(await placements.all(room('empty'))).toEqual([]);
    });
  });
}
