/** What every version of the room store must do. SPEC PL, EP, LG. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { DATACENTER_ID, EVENT_ID } from '../protocol/ids.ts';
import type { EventId, PeerId } from '../protocol/ids.ts';
import {
  EVENT_LOG_LENGTH,
  MAX_CATCH_UP_BYTES,
  MAX_CHAT_BYTES,
  MAX_CHAT_TEXT_LENGTH,
  MAX_EVENT_LOG_BYTES,
  ROSTER_PAGE_SIZE,
  SNAPSHOT_CHAT_LENGTH,
} from '../protocol/room.ts';
import type { LoggedEvent } from '../protocol/room.ts';
import { edge, mediaNode, peer, request, room, track } from '../testing/samples.ts';
import { catchUp } from './catch-up.ts';
import type { Placement, PlaceRequest, RoomStore, StoredTrack } from './room-store.ts';

export interface RoomStoreUnderTest {
  readonly rooms: RoomStore;
  /** How many keys or rooms the store holds; zero when everything was freed. */
  leftOver(): Promise<number>;
  close(): Promise<void>;
}

const ROOM = room('standup');
const START = EVENT_ID.parse('0-0');

const placement = (name: string, changes: Partial<PlaceRequest> = {}): PlaceRequest => ({
  roomId: ROOM,
  peerId: peer(name),
  requestId: request(`join-${name}`),
  edgeId: edge('edge-a'),
  mediaNodeId: mediaNode('node-a'),
  maxPeers: 1_000,
  ...changes,
});

const trackOf = (name: string, peerId: PeerId, epoch: Epoch): StoredTrack => ({
  trackId: track(name),
  peerId,
  kind: 'video',
  source: 'camera',
  paused: false,
  homeNodeId: mediaNode('node-a'),
  epoch,
});

export function describeRoomStore(version: string, open: () => Promise<RoomStoreUnderTest>): void {
  describe(`room store (${version})`, () => {
    let subject: RoomStoreUnderTest;
    let rooms: RoomStore;
    beforeEach(async () => {
      subject = await open();
      rooms = subject.rooms;
    });
    afterEach(() => subject.close());

    async function join(name: string) {
      const placed = await rooms.placePeer(placement(name));
      const joined = await rooms.joinPeer(
        ROOM,
        { peerId: placed.peerId, displayName: `${name} | Smith`, role: 'speaker' },
        placed.epoch,
      );
      return { ...placed, ...joined };
    }

    const chained = (events: readonly LoggedEvent[]): boolean =>
      events.every((event, index) => index === 0 || event.previousId === events[index - 1]?.id);

    it('[PL3] a first placement yields to the one that exists, and keeps its epoch', async () => {
      const first = await rooms.placePeer(placement('ann'));
      const again = await rooms.placePeer(placement('ann', { mediaNodeId: mediaNode('node-b') }));
      expect(again).toEqual(first);
      expect(await rooms.placementOf(ROOM, peer('ann'))).toEqual(first);
    });

    it('[TN1] rooms of one name and two tenants know nothing of each other', async () => {
      const others = room('standup', 'other');
      const ann = await join('ann');
      await rooms.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch));
      await rooms.postChat({ roomId: ROOM, peerId: ann.peerId, requestId: request('hello'), text: 'hello' });
      const placed = await rooms.placePeer(placement('ann', { roomId: others, maxPeers: 1 }));
      const self = { peerId: placed.peerId, displayName: 'Ann', role: 'speaker' } as const;
      const joined = await rooms.joinPeer(others, self, placed.epoch);
      expect(joined.snapshot).toMatchObject({ peerCount: 1, tracks: [], chat: [] });
      expect(await rooms.tracks(others, [track('camera')])).toEqual([]);
      await rooms.removePeer(others, placed.peerId, placed.epoch, 'left');
      expect((await rooms.view(others)).occupancy.peerCount).toBe(0);
      expect((await rooms.view(ROOM)).occupancy.peerCount).toBe(1);
    });

    describe('gateways', () => {
      const claim = (name: string, replacesEpoch?: Epoch) => ({
        roomId: ROOM,
        datacenter: DATACENTER_ID.parse('sbg'),
        homeNodeId: mediaNode('home'),
        mediaNodeId: mediaNode(name),
        ...(replacesEpoch === undefined ? {} : { replacesEpoch }),
      });
      const release = (epoch: Epoch): Promise<void> =>
        rooms.releaseGateway(ROOM, DATACENTER_ID.parse('sbg'), mediaNode('home'), epoch);

      it('[GW1] of many that claim at once one is the gateway, for each datacenter and home', async () => {
        await join('ann');
        const answers = await Promise.all(
          Array.from({ length: 32 }, (_, index) => rooms.claimGateway(claim(`node-${index}`))),
        );
        expect(new Set(answers.map(({ mediaNodeId, epoch }) => `${mediaNodeId} ${epoch}`)).size).toBe(1);
        const elsewhere = { ...claim('node-x'), datacenter: DATACENTER_ID.parse('gra') };
        expect((await rooms.claimGateway(elsewhere)).mediaNodeId).toBe('node-x');
        const other = { ...claim('node-y'), homeNodeId: mediaNode('other-home') };
        expect((await rooms.claimGateway(other)).mediaNodeId).toBe('node-y');
      });

      it('[GW1] of many that replace one gateway at once one takes over, under a higher epoch', async () => {
        await join('ann');
        const first = await rooms.claimGateway(claim('node-a'));
        const answers = await Promise.all(
          Array.from({ length: 32 }, (_, index) => rooms.claimGateway(claim(`node-${index}`, first.epoch))),
        );
        const epochs = new Set(answers.map(({ epoch }) => epoch));
        expect(epochs.size).toBe(1);
        expect(Math.min(...epochs)).toBeGreaterThan(first.epoch);
        expect(await rooms.claimGateway(claim('node-z', first.epoch))).toEqual(answers[0]);
      });

      it('[GW1] a claim is given up by its epoch only, and goes with the room', async () => {
        const ann = await join('ann');
        const first = await rooms.claimGateway(claim('node-a'));
        const second = await rooms.claimGateway(claim('node-b', first.epoch));
        await release(first.epoch);
        expect(await rooms.claimGateway(claim('node-c'))).toEqual(second);
        await release(second.epoch);
        expect((await rooms.claimGateway(claim('node-c'))).mediaNodeId).toBe('node-c');
        await rooms.removePeer(ROOM, ann.peerId, ann.epoch, 'left');
        await expect(rooms.claimGateway(claim('node-a'))).rejects.toMatchObject({ code: 'peer_not_found' });
        expect(await subject.leftOver()).toBe(0);
      });
    });

    it('[PL3] many callers that place one peer at once get one answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 64 }, (_, index) =>
          rooms.placePeer(placement('ann', { mediaNodeId: mediaNode(`node-${index}`) })),
        ),
      );
      expect(new Set(answers.map((answer) => `${answer.mediaNodeId} ${answer.epoch}`)).size).toBe(1);
    });

    it('[EP1] a replacement gets a higher epoch; one of an epoch that is no longer live yields', async () => {
      const first = await rooms.placePeer(placement('ann'));
      const moved = await rooms.placePeer(
        placement('ann', { mediaNodeId: mediaNode('node-b'), replacesEpoch: first.epoch }),
      );
      expect(moved.epoch).toBeGreaterThan(first.epoch);
      expect(moved.mediaNodeId).toBe('node-b');
      expect(moved.requestId).toBe(first.requestId);
      const late = await rooms.placePeer(
        placement('ann', { mediaNodeId: mediaNode('node-c'), replacesEpoch: first.epoch }),
      );
      expect(late).toEqual(moved);
    });

    it('[EP1] an epoch follows the store’s clock, so that a store that forgot its writes gives no old one', async () => {
      const first = await rooms.placePeer(placement('ann'));
      await rooms.removePeer(ROOM, peer('ann'), first.epoch, 'left');
      expect(await subject.leftOver()).toBe(0);
      const second = await rooms.placePeer(placement('ann'));
      expect(second.epoch).toBeGreaterThan(first.epoch);
    });

    it('[PL4] a full room refuses a newcomer, but not a peer that it has', async () => {
      const first = await rooms.placePeer(placement('ann', { maxPeers: 1 }));
      await expect(rooms.placePeer(placement('bob', { maxPeers: 1 }))).rejects.toMatchObject({
        code: 'room_full',
      });
      expect(await rooms.placePeer(placement('ann', { maxPeers: 1 }))).toEqual(first);
    });

    it('[TK11] a person is in a room so often and no oftener, and again when one of them has left', async () => {
      const ofAnn = { subject: { digest: 'ann', maxPeers: 2 } };
      const first = await rooms.placePeer(placement('ann-1', ofAnn));
      await rooms.placePeer(placement('ann-2', ofAnn));
      const refused = { code: 'joined_too_often' };
      await expect(rooms.placePeer(placement('ann-3', ofAnn))).rejects.toMatchObject(refused);
      expect(await rooms.placePeer(placement('ann-1', ofAnn))).toEqual(first);
      await rooms.placePeer(placement('ben', { subject: { digest: 'ben', maxPeers: 2 } }));
      await rooms.placePeer(placement('somebody'));
      const moved = await rooms.placePeer(placement('ann-1', { ...ofAnn, replacesEpoch: first.epoch }));
      await expect(rooms.placePeer(placement('ann-3', ofAnn))).rejects.toMatchObject(refused);
      await rooms.removePeer(ROOM, peer('ann-1'), moved.epoch, 'left');
      await rooms.placePeer(placement('ann-3', ofAnn));
      await expect(rooms.placePeer(placement('ann-4', ofAnn))).rejects.toMatchObject(refused);
    });

    it('[TK11] of many joins of one person at once no more get in than may', async () => {
      const subject = { digest: 'ann', maxPeers: 5 };
      const answers = await Promise.allSettled(
        Array.from({ length: 30 }, (_, index) => rooms.placePeer(placement(`ann-${index}`, { subject }))),
      );
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    });

    it('[PL5] the view counts peers by node and lists tracks with their homes', async () => {
      const ann = await join('ann');
      await rooms.placePeer(placement('bob', { mediaNodeId: mediaNode('node-b') }));
      const camera = trackOf('camera', ann.peerId, ann.epoch);
      await rooms.publishTrack(ROOM, camera);
      const view = await rooms.view(ROOM);
      expect(view.occupancy.peerCount).toBe(2);
      expect([...view.occupancy.peersByNode].sort()).toEqual([
        ['node-a', 1],
        ['node-b', 1],
      ]);
      expect(view.tracks).toEqual([camera]);
      expect((await rooms.view(room('empty'))).occupancy.peerCount).toBe(0);
    });

    it('[LG1] a join gives the room with the peer in it, and each event names the one before it', async () => {
      const ann = await join('ann');
      const bob = await join('bob');
      expect(ann.snapshot.peers.map((member) => member.displayName)).toEqual(['ann | Smith']);
      expect(bob.snapshot.peerCount).toBe(2);
      expect(bob.snapshot.peers.map((member) => member.peerId)).toEqual(['ann', 'bob']);
      expect(ann.events[0]?.previousId).toBe(START);
      expect(chained([...ann.events, ...bob.events])).toBe(true);
      expect(bob.snapshot.lastEventId).toBe(bob.events[0]?.id);
      expect(await rooms.lastEventId(ROOM)).toBe(bob.events[0]?.id);
    });

    it('[SE2] a repeated join changes nothing and makes no event', async () => {
      const first = await join('ann');
      const again = await join('ann');
      expect(again.events).toEqual([]);
      expect(again.self).toEqual(first.self);
    });

    it('[EP2] a join under an old epoch, or of nobody placed, is refused', async () => {
      const first = await rooms.placePeer(placement('ann'));
      await rooms.placePeer(placement('ann', { replacesEpoch: first.epoch }));
      const entry = { peerId: peer('ann'), displayName: 'Ann', role: 'speaker' as const };
      await expect(rooms.joinPeer(ROOM, entry, first.epoch)).rejects.toMatchObject({ code: 'stale_epoch' });
      await expect(
        rooms.joinPeer(ROOM, { ...entry, peerId: peer('bob') }, first.epoch),
      ).rejects.toMatchObject({ code: 'peer_not_found' });
    });

    it('[SE3] attaching notes the new edge and keeps the placement', async () => {
      const ann = await join('ann');
      await join('bob');
      const attached = await rooms.attachPeer(ROOM, ann.peerId, ann.epoch, edge('edge-b'));
      expect(attached.self).toEqual(ann.self);
      expect(attached.peerCount).toBe(2);
      expect(attached.holdEpoch).toBeGreaterThan(ann.holdEpoch);
      expect(await rooms.placementOf(ROOM, ann.peerId)).toMatchObject({
        edgeId: 'edge-b',
        mediaNodeId: 'node-a',
        epoch: ann.epoch,
        requestId: 'join-ann',
      });
      await expect(
        rooms.attachPeer(ROOM, ann.peerId, EPOCH.parse(ann.epoch + 1), edge('edge-c')),
      ).rejects.toMatchObject({ code: 'stale_epoch' });
    });

    it('[LG2] a track is published, muted and ended, each change once', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann.peerId, ann.epoch);
      const published = await rooms.publishTrack(ROOM, camera);
      expect(published.map(({ event }) => event.type)).toEqual(['track.published']);
      expect(await rooms.publishTrack(ROOM, camera)).toEqual([]);
      const muted = await rooms.setTrackPaused(ROOM, camera.trackId, true);
      expect(muted.map(({ event }) => event)).toEqual([
        { type: 'track.changed', trackId: 'camera', paused: true },
      ]);
      expect(await rooms.setTrackPaused(ROOM, camera.trackId, true)).toEqual([]);
      expect(await rooms.tracks(ROOM, [track('gone'), camera.trackId])).toEqual([
        { ...camera, paused: true },
      ]);
      const ended = await rooms.endTracks(ROOM, [camera.trackId, track('gone')], 'unpublished');
      expect(ended.map(({ event }) => event)).toEqual([
        { type: 'track.ended', trackId: 'camera', peerId: 'ann', reason: 'unpublished' },
      ]);
      expect(await rooms.endTracks(ROOM, [camera.trackId], 'unpublished')).toEqual([]);
      expect(chained([...published, ...muted, ...ended])).toBe(true);
    });

    it('[EP2] a track of an old epoch, or of a peer that is gone, is refused', async () => {
      const ann = await join('ann');
      await rooms.placePeer(placement('ann', { replacesEpoch: ann.epoch }));
      await expect(rooms.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch))).rejects.toMatchObject({
        code: 'stale_epoch',
      });
      await expect(rooms.publishTrack(ROOM, trackOf('camera', peer('bob'), ann.epoch))).rejects.toMatchObject(
        {
          code: 'peer_not_found',
        },
      );
    });

    describe('a peer that moves', () => {
      const move = (name: string, keepsEpoch: Epoch, replacesEpoch = keepsEpoch): Promise<Placement> =>
        rooms.placePeer(placement('ann', { mediaNodeId: mediaNode(name), replacesEpoch, keepsEpoch }));

      it('[EP7] publishes under both epochs until it has moved, and then under the higher one only', async () => {
        const ann = await join('ann');
        const old = trackOf('old', ann.peerId, ann.epoch);
        await rooms.publishTrack(ROOM, old);
        const moved = await move('node-b', ann.epoch);
        expect(moved.epoch).toBeGreaterThan(ann.epoch);
        expect(await rooms.placementOf(ROOM, ann.peerId)).toEqual(moved);
        const former = { mediaNodeId: mediaNode('node-a'), epoch: ann.epoch };
        expect(await rooms.formerPlacement(ROOM, ann.peerId)).toEqual(former);
        await rooms.publishTrack(ROOM, { ...old, paused: true });
        const successor = { ...trackOf('new', ann.peerId, moved.epoch), replaces: old.trackId };
        const [published] = await rooms.publishTrack(ROOM, successor);
        expect(published?.event).toMatchObject({ type: 'track.published', track: { replaces: 'old' } });
        await rooms.setTrackPaused(ROOM, successor.trackId, true);
        const tracks = await rooms.tracks(ROOM, [old.trackId, successor.trackId]);
        expect(tracks).toEqual([
          { ...old, paused: true },
          { ...successor, paused: true },
        ]);

        await rooms.settlePeer(ROOM, ann.peerId, ann.epoch);
        expect(await rooms.formerPlacement(ROOM, ann.peerId)).toEqual(former);
        await rooms.settlePeer(ROOM, ann.peerId, moved.epoch);
        expect(await rooms.formerPlacement(ROOM, ann.peerId)).toBeUndefined();
        await expect(rooms.publishTrack(ROOM, old)).rejects.toMatchObject({ code: 'stale_epoch' });
        await rooms.removePeer(ROOM, ann.peerId, moved.epoch, 'left');
        expect(await subject.leftOver()).toBe(0);
      });

      it('[EP7] keeps what it lives on over a second try, and a repeat of a move gives the same placement', async () => {
        const ann = await join('ann');
        const first = await move('node-b', ann.epoch);
        expect(await move('node-c', ann.epoch)).toEqual(first);
        const second = await move('node-c', ann.epoch, first.epoch);
        expect(second).toMatchObject({ mediaNodeId: 'node-c' });
        expect(await rooms.formerPlacement(ROOM, ann.peerId)).toMatchObject({ epoch: ann.epoch });
        await expect(move('node-d', first.epoch, second.epoch)).rejects.toMatchObject({
          code: 'stale_epoch',
        });
        await rooms.placePeer(placement('ann', { replacesEpoch: second.epoch }));
        expect(await rooms.formerPlacement(ROOM, ann.peerId)).toBeUndefined();
      });

      it('[DR4] replaces only a track of its own, of the same source, that is there', async () => {
        const [ann, bob] = [await join('ann'), await join('bob')];
        await rooms.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch));
        const others: StoredTrack[] = [
          { ...trackOf('stranger', bob.peerId, bob.epoch), replaces: track('camera') },
          { ...trackOf('screen', ann.peerId, ann.epoch), source: 'screen', replaces: track('camera') },
          { ...trackOf('late', ann.peerId, ann.epoch), replaces: track('gone') },
        ];
        for (const other of others) {
          const [published] = await rooms.publishTrack(ROOM, other);
          expect(published?.event).not.toHaveProperty('track.replaces');
          expect((await rooms.tracks(ROOM, [other.trackId]))[0]?.replaces).toBeUndefined();
        }
      });

      it('[EP7] and leaves meanwhile leaves nothing behind', async () => {
        const [ann, bob] = [await join('ann'), await join('bob')];
        const moved = await move('node-b', ann.epoch);
        await rooms.removePeer(ROOM, ann.peerId, moved.epoch, 'left');
        expect(await rooms.formerPlacement(ROOM, ann.peerId)).toBeUndefined();
        await rooms.removePeer(ROOM, bob.peerId, bob.epoch, 'left');
        expect(await subject.leftOver()).toBe(0);
      });
    });

    it('[EP2] a removal under an old epoch removes nothing', async () => {
      const ann = await join('ann');
      const moved = await rooms.placePeer(placement('ann', { replacesEpoch: ann.epoch }));
      expect(await rooms.removePeer(ROOM, ann.peerId, ann.epoch, 'connection_lost')).toEqual([]);
      expect(await rooms.placementOf(ROOM, ann.peerId)).toEqual(moved);
    });

    it('[SE4] a replacement under a hold yields to who took the session up since', async () => {
      const ann = await join('ann');
      const { holdEpoch } = await rooms.attachPeer(ROOM, ann.peerId, ann.epoch, edge('edge-2'));
      const live = await rooms.placementOf(ROOM, ann.peerId);
      const replace = (heldUnder: Epoch) =>
        rooms.placePeer(placement('ann', { replacesEpoch: ann.epoch, heldUnder }));
      expect(await replace(ann.holdEpoch)).toEqual(live);
      expect((await replace(holdEpoch)).epoch).toBeGreaterThan(ann.epoch);
    });

    it.each(['edge-a', 'edge-2'])(
      '[SE4] a removal under a hold spares a session that was taken up since (by %s; it was edge-a’s)',
      async (by) => {
        const ann = await join('ann');
        const remove = (heldUnder: Epoch) =>
          rooms.removePeer(ROOM, ann.peerId, ann.epoch, 'connection_lost', heldUnder);
        const { holdEpoch } = await rooms.attachPeer(ROOM, ann.peerId, ann.epoch, edge(by));
        expect(await remove(ann.holdEpoch)).toEqual([]);
        expect(await remove(holdEpoch)).toHaveLength(1);
      },
    );

    describe('tokens of sessions', () => {
      const inUse = async (): Promise<number> => (await join('ann')).tokenGeneration;
      const attach = async (epoch: Epoch, generation?: number) =>
        rooms.attachPeer(ROOM, peer('ann'), epoch, edge('edge-2'), generation);

      it('[SK2] one that is used or confirmed ends those before it, and no others', async () => {
        const { epoch } = await join('ann');
        expect(await inUse()).toBe(0);
        await attach(epoch, 3);
        await attach(epoch, 3);
        await expect(attach(epoch, 2)).rejects.toMatchObject({ code: 'token_replayed' });
        await rooms.confirmToken(ROOM, peer('ann'), 11);
        await rooms.confirmToken(ROOM, peer('ann'), 4);
        expect(await inUse()).toBe(11);
        await expect(attach(epoch, 9)).rejects.toMatchObject({ code: 'token_replayed' });
        await attach(epoch);
        await attach(epoch, 12);
        expect(await inUse()).toBe(12);
      });

      it('[SK2] a token that is refused takes no session over', async () => {
        const { epoch } = await join('ann');
        await rooms.confirmToken(ROOM, peer('ann'), 2);
        await expect(attach(epoch, 1)).rejects.toMatchObject({ code: 'token_replayed' });
        expect((await rooms.placementOf(ROOM, peer('ann')))?.edgeId).toBe('edge-a');
      });

      it('[SK2] what is noted of a peer goes with it', async () => {
        const [{ epoch }, bob] = [await join('ann'), await join('bob')];
        await attach(epoch, 5);
        await rooms.removePeer(ROOM, peer('ann'), epoch, 'left');
        await rooms.confirmToken(ROOM, peer('ann'), 6);
        const again = await join('ann');
        expect(again.tokenGeneration).toBe(0);
        await rooms.removePeer(ROOM, peer('ann'), again.epoch, 'left');
        await rooms.removePeer(ROOM, peer('bob'), bob.epoch, 'left');
        await rooms.confirmToken(ROOM, peer('bob'), 1);
        expect(await subject.leftOver()).toBe(0);
      });
    });

    it('[LG4] a peer that leaves takes its tracks along, and the last one the whole room', async () => {
      const [ann, bob] = [await join('ann'), await join('bob')];
      await rooms.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch));
      await rooms.publishTrack(ROOM, trackOf('other', bob.peerId, bob.epoch));
      const events = await rooms.removePeer(ROOM, ann.peerId, ann.epoch, 'left');
      expect(events.map(({ event }) => event)).toEqual([
        { type: 'track.ended', trackId: 'camera', peerId: 'ann', reason: 'peer_left' },
        { type: 'peer.left', peerId: 'ann', reason: 'left' },
      ]);
      expect(await subject.leftOver()).toBeGreaterThan(0);
      expect(await rooms.removePeer(ROOM, ann.peerId, ann.epoch, 'left')).toEqual([]);
      await rooms.postChat({ roomId: ROOM, peerId: bob.peerId, requestId: request('c1'), text: 'bye' });
      await rooms.removePeer(ROOM, bob.peerId, bob.epoch, 'left');
      expect(await subject.leftOver()).toBe(0);
      expect(await rooms.lastEventId(ROOM)).toBe(START);
    });

    it('[LG5] a chat message is posted once for each request, and the last ones are in the snapshot', async () => {
      const ann = await join('ann');
      const post = { roomId: ROOM, peerId: ann.peerId, requestId: request('c0'), text: 'Grüße "🎉" \\ </b>' };
      const first = await rooms.postChat(post);
      const again = await rooms.postChat(post);
      expect(again).toEqual({ message: first.message, events: [] });
      expect(first.message).toMatchObject({ text: post.text, displayName: 'ann | Smith', peerId: 'ann' });
      for (let index = 1; index <= SNAPSHOT_CHAT_LENGTH; index += 1) {
        await rooms.postChat({ ...post, requestId: request(`c${index}`), text: `message ${index}` });
      }
      const { snapshot } = await join('bob');
      expect(snapshot.chat).toHaveLength(SNAPSHOT_CHAT_LENGTH);
      expect(snapshot.chat[0]?.text).toBe('message 1');
      await expect(rooms.postChat({ ...post, peerId: peer('nobody') })).rejects.toMatchObject({
        code: 'peer_not_found',
      });
    });

    it('[LG5] the id of a chat message is the one that its client can tell', async () => {
      const { peerId } = await join('ann');
      const post = { roomId: ROOM, peerId, requestId: request('m-1'), text: 'hello' };
      expect((await rooms.postChat(post)).message.messageId).toBe('dPiRTFTFjMs56qaowiZTr7');
    });

    it('[LG3] catching up gives the missing events in order, or a snapshot where the log does not reach back', async () => {
      const ann = await join('ann');
      const known = ann.snapshot.lastEventId;
      expect(await catchUp(rooms, ROOM, known)).toEqual({ type: 'events', events: [] });
      const bob = await join('bob');
      const posted = await rooms.postChat({
        roomId: ROOM,
        peerId: bob.peerId,
        requestId: request('c1'),
        text: 'hello',
      });
      expect(await catchUp(rooms, ROOM, known)).toEqual({
        type: 'events',
        events: [...bob.events, ...posted.events],
      });
      const highest = `${'9'.repeat(19)}-${'9'.repeat(19)}`;
      for (const foreign of ['5-5', highest]) {
        expect(await catchUp(rooms, ROOM, EVENT_ID.parse(foreign))).toMatchObject({
          type: 'snapshot',
          room: { peerCount: 2, lastEventId: posted.events[0]?.id },
        });
      }
    });

    it('[LG3] who missed more than one message may carry gets a snapshot', async () => {
      const ann = await join('ann');
      const post = async (index: number) =>
        rooms.postChat({
          roomId: ROOM,
          peerId: ann.peerId,
          requestId: request(`c${index}`),
          text: '€'.repeat(MAX_CHAT_TEXT_LENGTH),
        });
      const bytesOfOne = 3 * MAX_CHAT_TEXT_LENGTH;
      const fitting = Math.floor(MAX_CATCH_UP_BYTES / (bytesOfOne + 500));
      for (let index = 0; index < fitting; index += 1) await post(index);
      const caughtUp = async () => catchUp(rooms, ROOM, ann.snapshot.lastEventId);
      expect(await caughtUp()).toMatchObject({ type: 'events', events: { length: fitting } });
      for (let index = fitting; index <= MAX_CATCH_UP_BYTES / bytesOfOne; index += 1) await post(index);
      expect(await caughtUp()).toMatchObject({ type: 'snapshot' });
    });

    it('[LG3] who missed more than the log keeps gets a snapshot', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann.peerId, ann.epoch);
      await rooms.publishTrack(ROOM, camera);
      // The log is trimmed some entries at a time, so it may keep somewhat more than its length.
      for (let index = 0; index < EVENT_LOG_LENGTH + 300; index += 1) {
        await rooms.setTrackPaused(ROOM, camera.trackId, index % 2 === 0);
      }
      expect((await catchUp(rooms, ROOM, ann.snapshot.lastEventId)).type).toBe('snapshot');
    });

    it('[BU6] the log is bounded in bytes as well: it keeps the newest events', async () => {
      const ann = await join('ann');
      const text = '€'.repeat(MAX_CHAT_TEXT_LENGTH);
      const posts = 1.5 * Math.ceil(MAX_EVENT_LOG_BYTES / (3 * MAX_CHAT_TEXT_LENGTH));
      const ids: EventId[] = [ann.snapshot.lastEventId];
      for (let index = 0; index < posts; index += 1) {
        const post = { roomId: ROOM, peerId: ann.peerId, requestId: request(`c${index}`), text };
        for (const { id } of (await rooms.postChat(post)).events) ids.push(id);
      }
      const from = (share: number): EventId => ids[Math.floor(ids.length * share)] ?? EVENT_ID.parse('0-0');
      expect(await rooms.eventsAfter(ROOM, from(0.25))).toBeUndefined();
      const kept = await rooms.eventsAfter(ROOM, from(0.5));
      expect(kept?.at(-1)?.id).toBe(ids.at(-1));
    });

    it('[BU6] chat is bounded in bytes as well: it keeps the newest messages, and posts none of them twice', async () => {
      const ann = await join('ann');
      const post = async (index: number) =>
        rooms.postChat({
          roomId: ROOM,
          peerId: ann.peerId,
          requestId: request(`c${index}`),
          text: `${index} ${'€'.repeat(MAX_CHAT_TEXT_LENGTH - 10)}`,
        });
      const fitting = Math.floor(MAX_CHAT_BYTES / (3 * MAX_CHAT_TEXT_LENGTH));
      for (let index = 0; index < 2 * fitting; index += 1) await post(index);
      const chat = (await rooms.snapshot(ROOM))?.chat ?? [];
      expect(Buffer.byteLength(JSON.stringify(chat))).toBeLessThanOrEqual(MAX_CHAT_BYTES + chat.length + 2);
      expect(chat.length).toBeGreaterThan(fitting / 2);
      expect(chat.at(-1)?.text).toMatch(new RegExp(`^${2 * fitting - 1} `));
      for (const index of [2 * fitting - 1, 2 * fitting - chat.length]) {
        const again = await post(index);
        expect([again.events, again.message.text.split(' ')[0]]).toEqual([[], String(index)]);
      }
    });

    it('[LG6] the roster comes in pages by time of joining', async () => {
      const count = ROSTER_PAGE_SIZE + 5;
      for (let index = 0; index < count; index += 1) await join(`peer-${index}`);
      const { snapshot } = await join('last');
      expect(snapshot.peerCount).toBe(count + 1);
      expect(snapshot.peers).toHaveLength(ROSTER_PAGE_SIZE);
      const next = await rooms.rosterPage(ROOM, snapshot.nextCursor ?? 'missing');
      expect(await rooms.rosterPage(ROOM, '')).toMatchObject({ nextCursor: snapshot.nextCursor });
      expect(await rooms.rosterPage(ROOM, '9'.repeat(15))).toEqual({ peers: [] });
      for (const garbage of ['x', '-1', '1e3', ' 1', '1700000000000-bob', '9'.repeat(16)]) {
        await expect(rooms.rosterPage(ROOM, garbage)).rejects.toMatchObject({ code: 'malformed_message' });
      }
      expect(next.nextCursor).toBeUndefined();
      expect([...snapshot.peers, ...next.peers].map((member) => member.peerId)).toEqual([
        ...Array.from({ length: count }, (_, index) => `peer-${index}`),
        'last',
      ]);
    });

    it('[PL5] placements list everybody with edge and node', async () => {
      const ann = await join('ann');
      const all = await rooms.placements(ROOM);
      expect(all).toEqual([await rooms.placementOf(ROOM, ann.peerId)]);
      expect(await rooms.placements(room('empty'))).toEqual([]);
    });
  });
}
