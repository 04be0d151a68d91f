/** What every version of the recovery of rooms must do. SPEC RC. */
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
  /** Keeps what is there now. @returns brings it back, as a failover does that lost what was written since */
  keep(): Promise<() => Promise<void>>;
  /** @param byMs - less than nothing where the store's clock goes back */
  passTime(byMs: number): Promise<void>;
  /** How many keys or rooms the store holds. */
  leftOver(): Promise<number>;
  close(): Promise<void>;
}

/** Of what a test does thousands of times: a store may be far away. */
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

    it('[RC9] what nobody lost is not touched', async () => {
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

    it('[EP1] [ST14] a room that was led to the highest epoch goes on from the clock, and keeps whom it has', async () => {
      const ann = await join('ann');
      await subject.flush();
      const highest = EPOCH.parse(HIGHEST_EPOCH);
      await republish([{ ...ann, epoch: highest, holdEpoch: highest }]);
      await subject.passTime(ROOM_REBUILD_MS);
      const [bob, cem] = [await join('bob'), await join('cem')];
      expect(bob.epoch).toBeGreaterThan(ann.epoch);
      expect(cem.epoch).toBeGreaterThan(bob.epoch);
      const placed = (await placements.all(ROOM)).map(({ peerId }) => peerId);
      expect(placed.sort()).toEqual(['ann', 'bob', 'cem']);
      for (const { peerId, epoch } of [{ ...ann, epoch: highest }, bob, cem])
        expect(await roomLog.removePeer(ROOM, peerId, epoch, 'left')).toHaveLength(1);
      expect(await placements.all(ROOM)).toEqual([]);
    });

    it('[RC1] [RC10] a room that was flushed is what it was: roster in its order, placements, tracks', async () => {
      const people = [await join('ann'), await join('bob', EDGE_B), await join('cem')];
      const [ann, bob, cem] = people;
      if (ann === undefined || bob === undefined || cem === undefined) throw new Error('nobody');
      const camera = { ...trackOf('camera', ann), paused: true };
      await roomLog.publishTrack(ROOM, camera);
      const before = await snapshot();
      const placedBefore = await placements.all(ROOM);
      await subject.flush();

      expect((await recovery.republishTracks(ROOM, NODE, [camera])).verdicts).toEqual([
        { trackId: camera.trackId, verdict: 'unplaced' },
      ]);
      expect(await subject.leftOver()).toBe(0);
      expect((await republish([bob], before.lastEventId, EDGE_B)).lostPeers).toBe(1);
      expect((await republish([ann, cem], before.lastEventId)).lostPeers).toBe(2);
      expect((await recovery.republishTracks(ROOM, NODE, [camera])).lostTracks).toBe(1);
      expect((await republish([ann, cem], before.lastEventId)).lostPeers).toBe(0);

      await subject.passTime(ROOM_REBUILD_MS);
      const after = await snapshot();
      expect(after).toEqual({ ...before, lastEventId: after.lastEventId });
      const byPeer = (list: typeof placedBefore) =>
        [...list].sort((left, right) => (left.peerId < right.peerId ? -1 : 1));
      expect(byPeer(await placements.all(ROOM))).toEqual(byPeer(placedBefore));
      expect((await join('dan')).sequence).toBeGreaterThan(cem.sequence);
      expect(await rosterNames()).toEqual(['ann', 'bob', 'cem', 'dan']);
    });

    it('[RC2] [RC12] while it is rebuilt nobody is given it, and nobody new is placed; who is in it moves on', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const { lastEventId } = await snapshot();
      expect(await recovery.standing(ROOM)).toBe('whole');
      await subject.flush();
      expect(await recovery.standing(ROOM)).toBe('absent');
      const begun = await republish([ann], lastEventId);
      expect(begun.isRebuilding).toBe(true);
      expect(await recovery.standing(ROOM)).toBe('rebuilding');
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
      expect(await recovery.standing(ROOM)).toBe('whole');
      const after = await catchUp(roomLog, ROOM, lastEventId);
      expect(after).toMatchObject({ type: 'snapshot', room: { peerCount: 2 } });
      await join('cem');
      expect(await rosterNames()).toEqual(['ann', 'bob', 'cem']);
    });

    it('[RC15] a clock that went back by an hour, as after a failover, does not make the rebuild longer', async () => {
      const ann = await join('ann');
      await subject.flush();
      expect((await republish([ann])).isRebuilding).toBe(true);
      await subject.passTime(-3_600_000);
      await expect(join('bob')).rejects.toMatchObject({ code: 'store_unavailable' });
      await subject.passTime(ROOM_REBUILD_MS);
      expect(await recovery.standing(ROOM)).toBe('whole');
      await join('bob');
      expect(await rosterNames()).toEqual(['ann', 'bob']);
    });

    it('[RC13] the order goes on above what anybody knew, also by a clock that is behind', async () => {
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

    it('[RC14] a failover that lost events only is noticed by who knows them, also after others were written', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const bringBack = await subject.keep();
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

    it('[RC3] a placement that a failover brought back is replaced by the newer one, with its old tracks', async () => {
      const ann = await join('ann');
      const old = trackOf('old', ann);
      await roomLog.publishTrack(ROOM, old);
      const bringBack = await subject.keep();
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

    it('[RC3] [RC17] a higher epoch is never overwritten, neither of a placement nor of who holds the session', async () => {
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
      // An own change that is on its way back to the caller is neither lost nor somebody else's.
      expect(await republish([ann], START, EDGE_B)).toMatchObject({
        lostPeers: 0,
        verdicts: [],
        isRebuilding: false,
      });
    });

    it('[RC17] a session that another edge took up, which a failover forgot, is its again', async () => {
      const ann = await join('ann');
      const bringBack = await subject.keep();
      const { holdEpoch } = await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B);
      await bringBack();
      expect((await republish([{ ...ann, holdEpoch }], START, EDGE_B)).lostPeers).toBe(1);
      expect((await republish([ann])).verdicts).toEqual([{ peerId: 'ann', verdict: 'moved' }]);
    });

    it('[RC4] who was removed, and what was ended, is not brought back', async () => {
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

    it('[RC4] who was removed is not brought back after more events than the log keeps, nor is what was ended', async () => {
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

    it('[RC19] a room remembers a bounded number of those who are gone, the last ones', async () => {
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

    it('[RC4] also the last one that is put out is not brought back, and nothing remains', async () => {
      const ann = await join('ann');
      await subject.passTime(2);
      await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'kicked');
      expect(await recovery.standing(ROOM)).toBe('absent');
      expect((await republish([ann])).verdicts).toEqual([{ peerId: 'ann', verdict: 'gone' }]);
      expect((await placements.view(ROOM)).occupancy.peerCount).toBe(0);
      await subject.passTime(FAREWELL_KEPT_MS + 1);
      expect(await subject.leftOver()).toBe(0);
    });

    it('[RC21] an owner is told of what it does not own', async () => {
      const [ann, bob] = [await join('ann'), await join('bob', EDGE_B)];
      const [mine, other] = [trackOf('mine', ann), trackOf('ghost', bob)];
      await roomLog.publishTrack(ROOM, mine);
      await roomLog.publishTrack(ROOM, other);
      expect((await republish([])).unlisted).toEqual([await placements.placementOf(ROOM, ann.peerId)]);
      expect((await recovery.republishTracks(ROOM, NODE, [mine])).unlisted).toEqual(['ghost']);
      expect((await recovery.republishTracks(ROOM, mediaNode('node-b'), [])).unlisted).toEqual([]);
    });

    it('[RC11] a mute that was lost is made again, with its event', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann);
      await roomLog.publishTrack(ROOM, camera);
      const { events } = await recovery.republishTracks(ROOM, NODE, [{ ...camera, paused: true }]);
      expect(events.map(({ event }) => event)).toEqual([
        { type: 'track.changed', trackId: 'camera', paused: true },
      ]);
      expect((await snapshot()).tracks[0]?.paused).toBe(true);
    });

    it('[RC1] [EP7] a peer that was moving is, and publishes on both of its nodes', async () => {
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
      expect(await placements.previousPlacement(ROOM, ann.peerId)).toEqual(previous);
      // The new one may come first: what it replaces is published later.
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

      // It moved while the store was away, or the store forgot that it did.
      await republish([{ ...held, previous: undefined }], after.lastEventId);
      expect(await placements.previousPlacement(ROOM, ann.peerId)).toBeUndefined();
      expect((await recovery.republishTracks(ROOM, NODE, [old])).verdicts).toEqual([
        { trackId: 'old', verdict: 'stale' },
      ]);
    });

    it('[EP7] [RC1] [EP7] a move that a failover forgot is there again, with the tracks of both nodes', async () => {
      const ann = await join('ann');
      const old = trackOf('old', ann);
      await roomLog.publishTrack(ROOM, old);
      const bringBack = await subject.keep();
      const { epoch, holdEpoch, mediaNodeId } = await move(ann, EDGE_A, { keepsEpoch: ann.epoch });
      await bringBack();
      const previous = { mediaNodeId: ann.mediaNodeId, epoch: ann.epoch };
      await republish([{ ...ann, epoch, holdEpoch, mediaNodeId, previous }]);
      expect(await roomLog.tracks(ROOM, [old.trackId])).toEqual([old]);
      expect(await placements.attachPeer(ROOM, ann.peerId, epoch, EDGE_B)).toMatchObject({ previous });
    });

    it('[RC1] [DR18] nobody takes the place of somebody else’s track by publishing again', async () => {
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

    it('[RC5] session tokens that were used before a loss are not taken after it', async () => {
      const ann = await join('ann');
      await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_A, 3);
      await subject.flush();
      await republish([ann]);
      await expect(placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B, 2)).rejects.toMatchObject({
        code: 'token_replayed',
      });
      await placements.attachPeer(ROOM, ann.peerId, ann.epoch, EDGE_B, 3);
    });

    it('[RC6] the keys of a room that no edge keeps go by themselves; one that is kept stays', async () => {
      const ann = await join('ann');
      await roomLog.publishTrack(ROOM, trackOf('camera', ann));
      await roomLog.postChat({ roomId: ROOM, peerId: ann.peerId, requestId: request('c'), text: 'hi' });
      await subject.passTime(ROOM_KEPT_MS * 0.7);
      expect(await republish([ann])).toMatchObject({ lostPeers: 0, verdicts: [] });
      await subject.passTime(ROOM_KEPT_MS * 0.7);
      expect((await snapshot()).chat).toHaveLength(1);
      expect(await recovery.standing(ROOM)).toBe('whole');
      await subject.passTime(ROOM_KEPT_MS * 0.5);
      expect(await recovery.standing(ROOM)).toBe('absent');
      expect(await placements.view(ROOM)).toMatchObject({ occupancy: { peerCount: 0 } });
    });

    it('[LG4] a room that was rebuilt leaves no key behind either', async () => {
      const ann = await join('ann');
      await subject.flush();
      await republish([ann], EVENT_ID.parse('5-5'));
      await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'left');
      expect(await subject.leftOver()).toBe(0);
    });
  });
}
