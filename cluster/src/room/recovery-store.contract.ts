/** The contract of every version of the recovery store. SPEC RC. */
import {
  EVENT_LOG_LENGTH,
  FAREWELL_KEPT_MS,
  MAX_TOMBSTONES,
  ROOM_KEPT_MS,
  ROOM_REBUILD_MS,
} from '../limits/store-limits.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareEventIds, EPOCH, EVENT_ID, HIGHEST_EPOCH } from '../protocol/ids.ts';
import type { EventId, PeerId } from '../protocol/ids.ts';
import { edge, mediaNode, peer, request, room, track } from '../testing/samples.ts';
import { catchUp } from './catch-up.ts';
import { sideBySide } from '../side-by-side.ts';
import type { HeldPeer } from './recovery-store.ts';
import type { PlaceRequest } from './placement-store.ts';
import type { RoomStores } from './room-stores.ts';
import type { StoredTrack } from './room-log.ts';

export interface RecoveryUnderTest {
  readonly stores: RoomStores;
  /** Forgets everything, as `FLUSHALL` does. */
  flush(): Promise<void>;
  /** Remembers the present state. @returns a function that restores it, as a failover does that lost later writes */
  checkpoint(): Promise<() => Promise<void>>;
  /** @param byMs - negative to set the store's clock back */
  passTime(byMs: number): Promise<void>;
  /** How many keys or rooms the store holds. */
  remainingCount(): Promise<number>;
  close(): Promise<void>;
}

/** Concurrent calls of tests that make thousands of them: a store may be far away. */
const AT_ONCE = 32;
const ROOM = room('standup');
const START = EVENT_ID.parse('0-0');
const [EDGE_A, EDGE_B] = [edge('edge-a'), edge('edge-b')];
const NODE = mediaNode('node-a');

export function describeRecoveryStore(version: string, open: () => Promise<RecoveryUnderTest>): void {
  describe(`recovery (${version})`, () => {
    let subject: RecoveryUnderTest;
    let placements: RoomStores['placements'];
    let roomLog: RoomStores['roomLog'];
    let recovery: RoomStores['recovery'];
    beforeEach(async () => {
      subject = await open();
      ({ placements, roomLog, recovery } = subject.stores);
    });
    afterEach(() => subject.close());

    async function join(name: string, edgeId = EDGE_A): Promise<HeldPeer> {
      const requestId = request(`join-${name}`);
      const placed = await placements.placePeer({
        roomId: ROOM,
        peerId: peer(name),
        requestId,
        edgeId,
        mediaNodeId: NODE,
        maxPeers: 1_000,
      });
      const entry = { peerId: placed.peerId, displayName: `${name} | Smith`, role: 'speaker' as const };
      const { self, sequence } = await roomLog.joinPeer(ROOM, entry, placed.epoch);
      const { peerId, epoch, holdEpoch, mediaNodeId } = placed;
      const { joinedAtMs } = self;
      return {
        ...entry,
        peerId,
        epoch,
        holdEpoch,
        mediaNodeId,
        requestId,
        sequence,
        joinedAtMs,
        tokenGeneration: 3,
      };
    }

    const move = async (
      { peerId, epoch, requestId }: HeldPeer,
      edgeId = EDGE_A,
      options: Pick<PlaceRequest, 'keepsEpoch'> = {},
    ) =>
      placements.placePeer({
        roomId: ROOM,
        peerId,
        requestId,
        edgeId,
        mediaNodeId: mediaNode('node-b'),
        replacesEpoch: epoch,
        maxPeers: 1_000,
        ...options,
      });

    const trackOf = (name: string, of: Pick<HeldPeer, 'peerId' | 'epoch'>): StoredTrack => ({
      trackId: track(name),
      peerId: of.peerId,
      kind: 'video',
      source: 'camera',
      paused: false,
      homeNodeId: NODE,
      epoch: of.epoch,
    });

    const republish = async (peers: readonly HeldPeer[], known: EventId = START, edgeId = EDGE_A) =>
      recovery.republishPeers(ROOM, edgeId, peers, known);

    const rosterNames = async (): Promise<PeerId[]> =>
      (await roomLog.rosterPage(ROOM, '')).peers.map(({ peerId }) => peerId);

    async function snapshot() {
      const caughtUp = await catchUp(roomLog, ROOM, EVENT_ID.parse('5-5'));
      if (caughtUp.type !== 'snapshot') throw new Error('no snapshot');
      return caughtUp.room;
    }

    it('[RC9] republishing what was not lost changes nothing', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const camera = trackOf('camera', ann);
      await roomLog.publishTrack(ROOM, camera);
      const before = await snapshot();
      expect(await republish([ann], before.lastEventId)).toEqual({
        lastEventId: before.lastEventId,
        isRebuilding: false,
        lostPeers: 0,
        hasLostEvents: false,
        peerCount: 2,
        entries: { count: 0, sum: 0 },
        verdicts: [],
        unlisted: [],
      });
      expect((await republish([bob], before.lastEventId, EDGE_B)).lostPeers).toBe(0);
      expect(await recovery.republishTracks(ROOM, NODE, [camera])).toEqual({
        lostTracks: 0,
        events: [],
        verdicts: [],
        unlisted: [],
      });
      expect(await snapshot()).toEqual(before);
    });

    it('[EP1] [ST14] a room with the highest epoch continues from the clock, and keeps its peers', async () => {
      const ann = await join('ann');
      await subject.flush();
      const highest = EPOCH.parse(HIGHEST_EPOCH);
      await republish([{ ...ann, epoch: highest, holdEpoch: highest }]);
      await subject.passTime(ROOM_REBUILD_MS);
      const [bob, cem] = [await join('bob'), await join('cem')];
      expect(bob.epoch).toBeGreaterThan(ann.epoch);
      expect(cem.epoch).toBeGreaterThan(bob.epoch);
      const placed = (await placements.list(ROOM)).map(({ peerId }) => peerId);
      expect(placed.sort()).toEqual(['ann', 'bob', 'cem']);
      for (const { peerId, epoch } of [{ ...ann, epoch: highest }, bob, cem])
        expect(await roomLog.removePeer(ROOM, peerId, epoch, 'left')).toHaveLength(1);
      expect(await placements.list(ROOM)).toEqual([]);
    });

    it('[RC1] [RC10] a flushed room is restored: roster in its order, placements, tracks', async () => {
      const people = [await join('ann'), await join('bob', EDGE_B), await join('cem')];
      const [ann, bob, cem] = people;
      if (ann === undefined || bob === undefined || cem === undefined) throw new Error('nobody');
      const camera = { ...trackOf('camera', ann), paused: true };
      await roomLog.publishTrack(ROOM, camera);
      const before = await snapshot();
      const placedBefore = await placements.list(ROOM);
      await subject.flush();

      expect((await recovery.republishTracks(ROOM, NODE, [camera])).verdicts).toEqual([
        { trackId: camera.trackId, verdict: 'unplaced' },
      ]);
      expect(await subject.remainingCount()).toBe(0);
      expect((await republish([bob], before.lastEventId, EDGE_B)).lostPeers).toBe(1);
      expect((await republish([ann, cem], before.lastEventId)).lostPeers).toBe(2);
      expect((await recovery.republishTracks(ROOM, NODE, [camera])).lostTracks).toBe(1);
      expect((await republish([ann, cem], before.lastEventId)).lostPeers).toBe(0);

      await subject.passTime(ROOM_REBUILD_MS);
      const after = await snapshot();
      expect(after).toEqual({ ...before, lastEventId: after.lastEventId });
      const byPeer = (list: typeof placedBefore) =>
        [...list].sort((left, right) => (left.peerId < right.peerId ? -1 : 1));
      expect(byPeer(await placements.list(ROOM))).toEqual(byPeer(placedBefore));
      expect((await join('dan')).sequence).toBeGreaterThan(cem.sequence);
      expect(await rosterNames()).toEqual(['ann', 'bob', 'cem', 'dan']);
    });

    it('[RC2] [RC12] a room that is being rebuilt gives no snapshot and places nobody new, but its peers may move', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const { lastEventId } = await snapshot();
      expect(await recovery.statusOf(ROOM)).toBe('whole');
      await subject.flush();
      expect(await recovery.statusOf(ROOM)).toBe('absent');
      const begun = await republish([ann], lastEventId);
      expect(begun.isRebuilding).toBe(true);
      expect(await recovery.statusOf(ROOM)).toBe('rebuilding');
      expect(compareEventIds(begun.lastEventId, lastEventId)).toBeGreaterThan(0);
      expect(await catchUp(roomLog, ROOM, lastEventId)).toEqual({ type: 'events', events: [] });
      await expect(join('cem')).rejects.toMatchObject({ code: 'store_unavailable' });
      const entry = { peerId: ann.peerId, displayName: 'Ann', role: 'speaker' as const };
      await expect(roomLog.joinPeer(ROOM, entry, ann.epoch)).rejects.toMatchObject({
        code: 'store_unavailable',
      });
      const moved = await move(ann);
      expect(moved.epoch).toBeGreaterThan(ann.epoch);
      await republish([bob], lastEventId, EDGE_B);

      await subject.passTime(ROOM_REBUILD_MS);
      expect(await recovery.statusOf(ROOM)).toBe('whole');
      const after = await catchUp(roomLog, ROOM, lastEventId);
      expect(after).toMatchObject({ type: 'snapshot', room: { peerCount: 2 } });
      await join('cem');
      expect(await rosterNames()).toEqual(['ann', 'bob', 'cem']);
    });

    it('[RC15] a clock that goes back by an hour, as after a failover, does not prolong the rebuild', async () => {
      const ann = await join('ann');
      await subject.flush();
      expect((await republish([ann])).isRebuilding).toBe(true);
      await subject.passTime(-3_600_000);
      await expect(join('bob')).rejects.toMatchObject({ code: 'store_unavailable' });
      await subject.passTime(ROOM_REBUILD_MS);
      expect(await recovery.statusOf(ROOM)).toBe('whole');
      await join('bob');
      expect(await rosterNames()).toEqual(['ann', 'bob']);
    });

    it('[RC13] event ids continue above every known one, even if the clock lags', async () => {
      const ann = await join('ann');
      await subject.flush();
      const known = EVENT_ID.parse('9999999999999-7');
      expect((await republish([ann], known)).lastEventId).toBe('9999999999999-8');
      await subject.passTime(ROOM_REBUILD_MS);
      const posted = await roomLog.postChat({
        roomId: ROOM,
        peerId: ann.peerId,
        requestId: request('c'),
        text: 'hi',
      });
      expect(posted.events[0]).toMatchObject({ id: '9999999999999-9', previousId: '9999999999999-8' });
      expect((await republish([ann], EVENT_ID.parse('9999999999999-8'))).hasLostEvents).toBe(false);
    });

    it('[RC14] an edge that knows the lost events notices a failover that lost only events, even after new ones were written', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const bringBack = await subject.checkpoint();
      const say = async (of: HeldPeer, text: string) =>
        roomLog.postChat({ roomId: ROOM, peerId: of.peerId, requestId: request(text), text });
      const lost = (await say(ann, 'lost')).events[0];
      if (lost === undefined) throw new Error('not posted');
      await bringBack();
      const later = (await say(bob, 'later')).events[0];
      expect(compareEventIds(later?.id ?? START, lost.id)).toBeGreaterThan(0);
      expect((await republish([bob], later?.id, EDGE_B)).hasLostEvents).toBe(false);
      const found = await republish([ann], lost.id);
      expect(found).toMatchObject({ lostPeers: 0, hasLostEvents: true, isRebuilding: true });
      await subject.passTime(ROOM_REBUILD_MS);
      expect((await catchUp(roomLog, ROOM, lost.id)).type).toBe('snapshot');
      expect((await republish([ann], found.lastEventId)).hasLostEvents).toBe(false);
    });

    it('[RC3] the newer placement replaces one that a failover brought back, and removes its old tracks', async () => {
      const ann = await join('ann');
      const old = trackOf('old', ann);
      await roomLog.publishTrack(ROOM, old);
      const bringBack = await subject.checkpoint();
      const moved = await move(ann);
      await roomLog.endTracks(ROOM, [old.trackId], 'transport_closed');
      const camera = trackOf('camera', moved);
      await roomLog.publishTrack(ROOM, camera);
      await bringBack();
      const held = { ...ann, epoch: moved.epoch, holdEpoch: moved.holdEpoch, mediaNodeId: moved.mediaNodeId };
      expect((await republish([held])).lostPeers).toBe(1);
      expect(await placements.placementOf(ROOM, ann.peerId)).toEqual(moved);
      expect((await recovery.republishTracks(ROOM, NODE, [camera])).lostTracks).toBe(1);
      await subject.passTime(ROOM_REBUILD_MS);
      expect((await snapshot()).tracks.map(({ trackId }) => trackId)).toEqual(['camera']);
    });

    it('[RC3] [RC17] a higher epoch is never overwritten, neither of a placement nor of a hold', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann);
      await roomLog.publishTrack(ROOM, camera);
      const attached = await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B);
      const stale = await republish([ann]);
      expect(stale.verdicts).toEqual([{ peerId: 'ann', verdict: 'moved' }]);
      expect(await placements.placementOf(ROOM, ann.peerId)).toMatchObject({
        edgeId: EDGE_B,
        holdEpoch: attached.holdEpoch,
      });
      const moved = await move(ann, EDGE_B);
      expect((await republish([ann])).verdicts).toEqual([{ peerId: 'ann', verdict: 'moved' }]);
      expect(await placements.placementOf(ROOM, ann.peerId)).toEqual(moved);
      await roomLog.endTracks(ROOM, [camera.trackId], 'transport_closed');
      expect((await recovery.republishTracks(ROOM, NODE, [camera])).verdicts).toEqual([
        { trackId: 'camera', verdict: 'stale' },
      ]);
      expect((await snapshot()).tracks).toEqual([]);
      // The edge's own change whose reply is still in flight is neither lost nor another edge's.
      expect(await republish([ann], START, EDGE_B)).toMatchObject({
        lostPeers: 0,
        verdicts: [],
        isRebuilding: false,
      });
    });

    it('[RC17] an edge gets back a session that it resumed and a failover forgot', async () => {
      const ann = await join('ann');
      const bringBack = await subject.checkpoint();
      const { holdEpoch } = await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B);
      await bringBack();
      expect((await republish([{ ...ann, holdEpoch }], START, EDGE_B)).lostPeers).toBe(1);
      expect((await republish([ann])).verdicts).toEqual([{ peerId: 'ann', verdict: 'moved' }]);
    });

    it('[RC4] removed peers and ended tracks are not restored', async () => {
      const [ann, bob] = [await join('ann'), await join('bob')];
      const camera = trackOf('camera', bob);
      await roomLog.publishTrack(ROOM, camera);
      await roomLog.endTracks(ROOM, [camera.trackId], 'node_lost');
      expect((await recovery.republishTracks(ROOM, NODE, [camera])).verdicts).toEqual([
        { trackId: 'camera', verdict: 'ended' },
      ]);
      await subject.passTime(2);
      await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'kicked');
      const known = await roomLog.lastEventId(ROOM);
      expect(await republish([ann, bob], known)).toMatchObject({
        lostPeers: 0,
        verdicts: [{ peerId: 'ann', verdict: 'gone' }],
        isRebuilding: false,
      });
      const again = await join('ann');
      expect(await republish([again, bob])).toMatchObject({ lostPeers: 0, verdicts: [], unlisted: [] });
      expect(await rosterNames()).toEqual(['bob', 'ann']);
    });

    it('[RC4] removed peers and ended tracks are not restored after more events than the log keeps', async () => {
      const [ann, bob] = [await join('ann'), await join('bob')];
      const [camera, microphone] = [trackOf('camera', bob), trackOf('microphone', bob)];
      await roomLog.publishTrack(ROOM, camera);
      await roomLog.publishTrack(ROOM, microphone);
      await roomLog.endTracks(ROOM, [camera.trackId], 'node_lost');
      await subject.passTime(2);
      await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'kicked');
      const presses = Array.from({ length: EVENT_LOG_LENGTH * 1.2 }, (_, count) => count);
      await sideBySide(presses, AT_ONCE, async (count) => {
        await roomLog.setTrackPaused(ROOM, microphone.trackId, count % 2 === 0);
      });
      expect(await republish([ann, bob], await roomLog.lastEventId(ROOM))).toMatchObject({
        lostPeers: 0,
        verdicts: [{ peerId: 'ann', verdict: 'gone' }],
      });
      expect((await recovery.republishTracks(ROOM, NODE, [camera])).verdicts).toEqual([
        { trackId: 'camera', verdict: 'ended' },
      ]);
    });

    it('[RC19] a room keeps a bounded number of tombstones, the newest', async () => {
      const bob = await join('bob');
      const tracks = Array.from({ length: MAX_TOMBSTONES + 200 }, (_, index) => trackOf(`t-${index}`, bob));
      await sideBySide(tracks, AT_ONCE, async (track) => {
        await roomLog.publishTrack(ROOM, track);
        await roomLog.endTracks(ROOM, [track.trackId], 'unpublished');
      });
      const [first, last] = [tracks.slice(0, 1), tracks.slice(-1)];
      expect((await recovery.republishTracks(ROOM, NODE, last)).verdicts).toHaveLength(1);
      expect((await recovery.republishTracks(ROOM, NODE, first)).lostTracks).toBe(1);
    });

    it('[RC4] a removed last peer is not restored either, and nothing remains', async () => {
      const ann = await join('ann');
      await subject.passTime(2);
      await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'kicked');
      expect(await recovery.statusOf(ROOM)).toBe('absent');
      expect((await republish([ann])).verdicts).toEqual([{ peerId: 'ann', verdict: 'gone' }]);
      expect((await placements.view(ROOM)).occupancy.peerCount).toBe(0);
      await subject.passTime(FAREWELL_KEPT_MS + 1);
      expect(await subject.remainingCount()).toBe(0);
    });

    it('[RC21] an owner learns what it does not own any more', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const [mine, other] = [trackOf('mine', ann), trackOf('ghost', bob)];
      await roomLog.publishTrack(ROOM, mine);
      await roomLog.publishTrack(ROOM, other);
      expect((await republish([])).unlisted).toEqual([await placements.placementOf(ROOM, ann.peerId)]);
      expect((await recovery.republishTracks(ROOM, NODE, [mine])).unlisted).toEqual(['ghost']);
      expect((await recovery.republishTracks(ROOM, mediaNode('node-b'), [])).unlisted).toEqual([]);
    });

    it('[RC11] a lost mute is repeated, with its event', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann);
      await roomLog.publishTrack(ROOM, camera);
      const { events } = await recovery.republishTracks(ROOM, NODE, [{ ...camera, paused: true }]);
      expect(events.map(({ event }) => event)).toEqual([
        { type: 'track.changed', trackId: 'camera', paused: true },
      ]);
      expect((await snapshot()).tracks[0]?.paused).toBe(true);
    });

    it('[RC1] [EP7] a moving peer is still moving after a loss, and publishes on both nodes', async () => {
      const ann = await join('ann');
      const old = trackOf('old', ann);
      await roomLog.publishTrack(ROOM, old);
      const moved = await move(ann, EDGE_A, { keepsEpoch: ann.epoch });
      const camera = { ...trackOf('camera', moved), homeNodeId: moved.mediaNodeId, replaces: old.trackId };
      await roomLog.publishTrack(ROOM, camera);
      const before = await snapshot();
      const previous = { mediaNodeId: ann.mediaNodeId, epoch: ann.epoch };
      const { epoch, holdEpoch, mediaNodeId } = moved;
      const held = { ...ann, epoch, holdEpoch, mediaNodeId, previous };
      await subject.flush();
      await republish([held], before.lastEventId);
      expect(await placements.previousPlacementOf(ROOM, ann.peerId)).toEqual(previous);
      // The new track may come first: the one that it replaces is republished later.
      for (const [home, track] of [
        [mediaNodeId, camera],
        [NODE, old],
      ] as const)
        expect(await recovery.republishTracks(ROOM, home, [track])).toMatchObject({
          lostTracks: 1,
          verdicts: [],
        });
      await subject.passTime(ROOM_REBUILD_MS);
      const after = await snapshot();
      const byId = (list: typeof after.tracks) =>
        [...list].sort((left, right) => (left.trackId < right.trackId ? -1 : 1));
      expect(byId(after.tracks)).toEqual(byId(before.tracks));

      // The peer moved while the store was down, or the store lost that it did.
      await republish([{ ...held, previous: undefined }], after.lastEventId);
      expect(await placements.previousPlacementOf(ROOM, ann.peerId)).toBeUndefined();
      expect((await recovery.republishTracks(ROOM, NODE, [old])).verdicts).toEqual([
        { trackId: 'old', verdict: 'stale' },
      ]);
    });

    it('[EP7] [RC1] [EP7] a move that a failover lost is restored, with the tracks of both nodes', async () => {
      const ann = await join('ann');
      const old = trackOf('old', ann);
      await roomLog.publishTrack(ROOM, old);
      const bringBack = await subject.checkpoint();
      const { epoch, holdEpoch, mediaNodeId } = await move(ann, EDGE_A, { keepsEpoch: ann.epoch });
      await bringBack();
      const previous = { mediaNodeId: ann.mediaNodeId, epoch: ann.epoch };
      await republish([{ ...ann, epoch, holdEpoch, mediaNodeId, previous }]);
      expect(await roomLog.tracks(ROOM, [old.trackId])).toEqual([old]);
      expect(await placements.attachPeer(ROOM, ann.peerId, epoch, EDGE_B)).toMatchObject({ previous });
    });

    it('[RC1] [DR18] a republished track cannot replace another peer’s track', async () => {
      const [ann, bob] = [await join('ann'), await join('bob')];
      const camera = trackOf('camera', ann);
      await roomLog.publishTrack(ROOM, camera);
      const greedy = { ...trackOf('greedy', bob), replaces: camera.trackId };
      expect((await recovery.republishTracks(ROOM, NODE, [camera, greedy])).lostTracks).toBe(1);
      const paused = { ...greedy, paused: true };
      expect((await recovery.republishTracks(ROOM, NODE, [camera, paused])).events).toHaveLength(1);
      const { replaces, ...alone } = paused;
      expect(replaces).toBe('camera');
      expect(await roomLog.tracks(ROOM, [greedy.trackId])).toEqual([alone]);
    });

    it('[RC5] session tokens used before a loss are refused after it', async () => {
      const ann = await join('ann');
      await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_A, 3);
      await subject.flush();
      await republish([ann]);
      await expect(placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B, 2)).rejects.toMatchObject({
        code: 'token_replayed',
      });
      await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B, 3);
    });

    it('[RC6] the keys of a room expire if no edge renews them; those of a renewed one stay', async () => {
      const ann = await join('ann');
      await roomLog.publishTrack(ROOM, trackOf('camera', ann));
      await roomLog.postChat({ roomId: ROOM, peerId: ann.peerId, requestId: request('c'), text: 'hi' });
      await subject.passTime(ROOM_KEPT_MS * 0.7);
      expect(await republish([ann])).toMatchObject({ lostPeers: 0, verdicts: [] });
      await subject.passTime(ROOM_KEPT_MS * 0.7);
      expect((await snapshot()).chat).toHaveLength(1);
      expect(await recovery.statusOf(ROOM)).toBe('whole');
      await subject.passTime(ROOM_KEPT_MS * 0.5);
      expect(await recovery.statusOf(ROOM)).toBe('absent');
      expect(await placements.view(ROOM)).toMatchObject({ occupancy: { peerCount: 0 } });
    });

    it('[LG4] a rebuilt room leaves no key behind either', async () => {
      const ann = await join('ann');
      await subject.flush();
      await republish([ann], EVENT_ID.parse('5-5'));
      await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'left');
      expect(await subject.remainingCount()).toBe(0);
    });

    it('[TK31] after a loss, those of a person’s peers count that join from then on', async () => {
      const place = async (name: string) =>
        placements.placePeer({
          roomId: ROOM,
          peerId: peer(name),
          requestId: request(`join-${name}`),
          edgeId: EDGE_A,
          mediaNodeId: NODE,
          maxPeers: 1_000,
          subject: { digest: 'ann', maxPeers: 1 },
        });
      const refused = { code: 'joined_too_often' };
      await place('ann-1');
      const first = await join('ann-1');
      await expect(place('ann-2')).rejects.toMatchObject(refused);
      await subject.flush();
      await republish([first]);
      await subject.passTime(ROOM_REBUILD_MS + 1_000);
      await place('ann-2');
      await expect(place('ann-3')).rejects.toMatchObject(refused);
    });
  });
}
