/** The contract of every version of the room log. SPEC LG, EP, SE. */
import {
  EVENT_LOG_LENGTH,
  MAX_CATCH_UP_BYTES,
  MAX_CHAT_BYTES,
  MAX_EVENT_LOG_BYTES,
  SNAPSHOT_CHAT_LENGTH,
} from '../limits/store-limits.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Epoch } from '../protocol/edge-media.ts';
import { EVENT_ID } from '../protocol/ids.ts';
import type { EventId } from '../protocol/ids.ts';
import { MAX_CHAT_TEXT_LENGTH, ROSTER_PAGE_SIZE } from '../protocol/room.ts';
import { ROOM, isChain, joinRoom, placement, trackOf } from '../testing/rooms-under-test.ts';
import type { RoomsUnderTest } from '../testing/rooms-under-test.ts';
import { edge, peer, request, track } from '../testing/samples.ts';
import { catchUp } from './catch-up.ts';
import type { RoomStores } from './room-stores.ts';

const START = EVENT_ID.parse('0-0');

export function describeRoomLog(version: string, open: () => Promise<RoomsUnderTest>): void {
  describe(`room log (${version})`, () => {
    let subject: RoomsUnderTest;
    let placements: RoomStores['placements'];
    let roomLog: RoomStores['roomLog'];
    beforeEach(async () => {
      subject = await open();
      ({ placements, roomLog } = subject.stores);
    });
    afterEach(() => subject.close());

    const join = async (name: string) => joinRoom(subject.stores, name);

    it('[LG1] a join returns the room with the peer in it, and each event names the one before it', async () => {
      const ann = await join('ann');
      const bob = await join('bob');
      expect(ann.snapshot.peers.map((member) => member.displayName)).toEqual(['ann | Smith']);
      expect(bob.snapshot.peerCount).toBe(2);
      expect(bob.snapshot.peers.map((member) => member.peerId)).toEqual(['ann', 'bob']);
      expect(ann.events[0]?.previousId).toBe(START);
      expect(isChain([...ann.events, ...bob.events])).toBe(true);
      expect(bob.snapshot.lastEventId).toBe(bob.events[0]?.id);
      expect(await roomLog.lastEventId(ROOM)).toBe(bob.events[0]?.id);
    });

    it('[SE2] a repeated join changes nothing and creates no event', async () => {
      const first = await join('ann');
      const again = await join('ann');
      expect(again.events).toEqual([]);
      expect(again.self).toEqual(first.self);
    });

    it('[EP2] a join under an old epoch, or of a peer that is not placed, is refused', async () => {
      const first = await placements.placePeer(placement('ann'));
      await placements.placePeer(placement('ann', { replacesEpoch: first.epoch }));
      const entry = { peerId: peer('ann'), displayName: 'Ann', role: 'speaker' as const };
      await expect(roomLog.joinPeer(ROOM, entry, first.epoch)).rejects.toMatchObject({ code: 'stale_epoch' });
      await expect(
        roomLog.joinPeer(ROOM, { ...entry, peerId: peer('bob') }, first.epoch),
      ).rejects.toMatchObject({ code: 'peer_not_found' });
    });

    it('[LG2] a track is published, muted and ended, each change once', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann.peerId, ann.epoch);
      const published = await roomLog.publishTrack(ROOM, camera);
      expect(published.map(({ event }) => event.type)).toEqual(['track.published']);
      expect(await roomLog.publishTrack(ROOM, camera)).toEqual([]);
      const muted = await roomLog.setTrackPaused(ROOM, camera.trackId, true);
      expect(muted.map(({ event }) => event)).toEqual([
        { type: 'track.changed', trackId: 'camera', paused: true },
      ]);
      expect(await roomLog.setTrackPaused(ROOM, camera.trackId, true)).toEqual([]);
      expect(await roomLog.tracks(ROOM, [track('gone'), camera.trackId])).toEqual([
        { ...camera, paused: true },
      ]);
      const ended = await roomLog.endTracks(ROOM, [camera.trackId, track('gone')], 'unpublished');
      expect(ended.map(({ event }) => event)).toEqual([
        { type: 'track.ended', trackId: 'camera', peerId: 'ann', reason: 'unpublished' },
      ]);
      expect(await roomLog.endTracks(ROOM, [camera.trackId], 'unpublished')).toEqual([]);
      expect(isChain([...published, ...muted, ...ended])).toBe(true);
    });

    it('[EP2] a track of an old epoch, or of a peer that is gone, is refused', async () => {
      const ann = await join('ann');
      await placements.placePeer(placement('ann', { replacesEpoch: ann.epoch }));
      await expect(
        roomLog.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch)),
      ).rejects.toMatchObject({
        code: 'stale_epoch',
      });
      await expect(
        roomLog.publishTrack(ROOM, trackOf('camera', peer('bob'), ann.epoch)),
      ).rejects.toMatchObject({
        code: 'peer_not_found',
      });
    });

    it('[EP2] a removal under an old epoch removes nothing', async () => {
      const ann = await join('ann');
      const moved = await placements.placePeer(placement('ann', { replacesEpoch: ann.epoch }));
      expect(await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'connection_lost')).toEqual([]);
      expect(await placements.placementOf(ROOM, ann.peerId)).toEqual(moved);
    });

    it.each(['edge-a', 'edge-2'])(
      '[SE28] a removal under an old hold spares a session that %s resumed since',
      async (by) => {
        const ann = await join('ann');
        const remove = (knownHoldEpoch: Epoch) =>
          roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'connection_lost', knownHoldEpoch);
        const { holdEpoch } = await placements.attachPeer(ROOM, ann.peerId, ann.epoch, edge(by));
        expect(await remove(ann.holdEpoch)).toEqual([]);
        expect(await remove(holdEpoch)).toHaveLength(1);
      },
    );

    it('[LG4] [LG11] a leaving peer takes its tracks along, and the last peer takes the whole room', async () => {
      const [ann, bob] = [await join('ann'), await join('bob')];
      await roomLog.publishTrack(ROOM, trackOf('camera', ann.peerId, ann.epoch));
      await roomLog.publishTrack(ROOM, trackOf('other', bob.peerId, bob.epoch));
      const events = await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'left');
      expect(events.map(({ event }) => event)).toEqual([
        { type: 'track.ended', trackId: 'camera', peerId: 'ann', reason: 'peer_left' },
        { type: 'peer.left', peerId: 'ann', reason: 'left' },
      ]);
      expect(await subject.remainingCount()).toBeGreaterThan(0);
      expect(await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'left')).toEqual([]);
      await roomLog.postChat({ roomId: ROOM, peerId: bob.peerId, requestId: request('c1'), text: 'bye' });
      await roomLog.removePeer(ROOM, bob.peerId, bob.epoch, 'left');
      expect(await subject.remainingCount()).toBe(0);
      expect(await roomLog.lastEventId(ROOM)).toBe(START);
    });

    it('[LG5] a chat message is posted once per request, and the snapshot has the last ones', async () => {
      const ann = await join('ann');
      const post = { roomId: ROOM, peerId: ann.peerId, requestId: request('c0'), text: 'Grüße "🎉" \\ </b>' };
      const first = await roomLog.postChat(post);
      const again = await roomLog.postChat(post);
      expect(again).toEqual({ message: first.message, events: [] });
      expect(first.message).toMatchObject({ text: post.text, displayName: 'ann | Smith', peerId: 'ann' });
      for (let index = 1; index <= SNAPSHOT_CHAT_LENGTH; index += 1) {
        await roomLog.postChat({ ...post, requestId: request(`c${index}`), text: `message ${index}` });
      }
      const { snapshot } = await join('bob');
      expect(snapshot.chat).toHaveLength(SNAPSHOT_CHAT_LENGTH);
      expect(snapshot.chat[0]?.text).toBe('message 1');
      await expect(roomLog.postChat({ ...post, peerId: peer('nobody') })).rejects.toMatchObject({
        code: 'peer_not_found',
      });
    });

    it('[LG12] the client can compute the id of its chat message', async () => {
      const { peerId } = await join('ann');
      const post = { roomId: ROOM, peerId, requestId: request('m-1'), text: 'hello' };
      expect((await roomLog.postChat(post)).message.messageId).toBe('dPiRTFTFjMs56qaowiZTr7');
    });

    it('[LG3] [LG8] catching up gives the missing events in order, or a snapshot if the log does not reach back far enough', async () => {
      const ann = await join('ann');
      const known = ann.snapshot.lastEventId;
      expect(await catchUp(roomLog, ROOM, known)).toEqual({ type: 'events', events: [] });
      const bob = await join('bob');
      const posted = await roomLog.postChat({
        roomId: ROOM,
        peerId: bob.peerId,
        requestId: request('c1'),
        text: 'hello',
      });
      expect(await catchUp(roomLog, ROOM, known)).toEqual({
        type: 'events',
        events: [...bob.events, ...posted.events],
      });
      const highest = `${'9'.repeat(19)}-${'9'.repeat(19)}`;
      for (const foreign of ['5-5', highest]) {
        expect(await catchUp(roomLog, ROOM, EVENT_ID.parse(foreign))).toMatchObject({
          type: 'snapshot',
          room: { peerCount: 2, lastEventId: posted.events[0]?.id },
        });
      }
    });

    it('[LG9] a client that missed more than fits into one message gets a snapshot', async () => {
      const ann = await join('ann');
      const post = async (index: number) =>
        roomLog.postChat({
          roomId: ROOM,
          peerId: ann.peerId,
          requestId: request(`c${index}`),
          text: '€'.repeat(MAX_CHAT_TEXT_LENGTH),
        });
      const bytesOfOne = 3 * MAX_CHAT_TEXT_LENGTH;
      const fitting = Math.floor(MAX_CATCH_UP_BYTES / (bytesOfOne + 500));
      for (let index = 0; index < fitting; index += 1) await post(index);
      const caughtUp = async () => catchUp(roomLog, ROOM, ann.snapshot.lastEventId);
      expect(await caughtUp()).toMatchObject({ type: 'events', events: { length: fitting } });
      for (let index = fitting; index <= MAX_CATCH_UP_BYTES / bytesOfOne; index += 1) await post(index);
      expect(await caughtUp()).toMatchObject({ type: 'snapshot' });
    });

    it('[LG8] a client that missed more than the log keeps gets a snapshot', async () => {
      const ann = await join('ann');
      const camera = trackOf('camera', ann.peerId, ann.epoch);
      await roomLog.publishTrack(ROOM, camera);
      // The log is trimmed some entries at a time, so it may keep somewhat more than its length.
      for (let index = 0; index < EVENT_LOG_LENGTH + 300; index += 1) {
        await roomLog.setTrackPaused(ROOM, camera.trackId, index % 2 === 0);
      }
      expect((await catchUp(roomLog, ROOM, ann.snapshot.lastEventId)).type).toBe('snapshot');
    });

    it('[BU6] the log is also bounded in bytes and keeps the newest events', async () => {
      const ann = await join('ann');
      const text = '€'.repeat(MAX_CHAT_TEXT_LENGTH);
      const posts = 1.5 * Math.ceil(MAX_EVENT_LOG_BYTES / (3 * MAX_CHAT_TEXT_LENGTH));
      const ids: EventId[] = [ann.snapshot.lastEventId];
      for (let index = 0; index < posts; index += 1) {
        const post = { roomId: ROOM, peerId: ann.peerId, requestId: request(`c${index}`), text };
        for (const { id } of (await roomLog.postChat(post)).events) ids.push(id);
      }
      const from = (share: number): EventId => ids[Math.floor(ids.length * share)] ?? EVENT_ID.parse('0-0');
      expect(await roomLog.eventsAfter(ROOM, from(0.25))).toBeUndefined();
      const kept = await roomLog.eventsAfter(ROOM, from(0.5));
      expect(kept?.at(-1)?.id).toBe(ids.at(-1));
    });

    it('[BU6] chat is also bounded in bytes; it keeps the newest messages and posts none of them twice', async () => {
      const ann = await join('ann');
      const post = async (index: number) =>
        roomLog.postChat({
          roomId: ROOM,
          peerId: ann.peerId,
          requestId: request(`c${index}`),
          text: `${index} ${'€'.repeat(MAX_CHAT_TEXT_LENGTH - 10)}`,
        });
      const fitting = Math.floor(MAX_CHAT_BYTES / (3 * MAX_CHAT_TEXT_LENGTH));
      for (let index = 0; index < 2 * fitting; index += 1) await post(index);
      const chat = (await roomLog.snapshot(ROOM))?.chat ?? [];
      expect(Buffer.byteLength(JSON.stringify(chat))).toBeLessThanOrEqual(MAX_CHAT_BYTES + chat.length + 2);
      expect(chat.length).toBeGreaterThan(fitting / 2);
      expect(chat.at(-1)?.text).toMatch(new RegExp(`^${2 * fitting - 1} `));
      for (const index of [2 * fitting - 1, 2 * fitting - chat.length]) {
        const again = await post(index);
        expect([again.events, again.message.text.split(' ')[0]]).toEqual([[], String(index)]);
      }
    });

    it('[LG6] the roster is paged by time of joining', async () => {
      const count = ROSTER_PAGE_SIZE + 5;
      for (let index = 0; index < count; index += 1) await join(`peer-${index}`);
      const { snapshot } = await join('last');
      expect(snapshot.peerCount).toBe(count + 1);
      expect(snapshot.peers).toHaveLength(ROSTER_PAGE_SIZE);
      const next = await roomLog.rosterPage(ROOM, snapshot.nextCursor ?? 'missing');
      expect(await roomLog.rosterPage(ROOM, '')).toMatchObject({ nextCursor: snapshot.nextCursor });
      expect(await roomLog.rosterPage(ROOM, '9'.repeat(15))).toEqual({ peers: [] });
      for (const garbage of ['x', '-1', '1e3', ' 1', '1700000000000-bob', '9'.repeat(16)]) {
        await expect(roomLog.rosterPage(ROOM, garbage)).rejects.toMatchObject({ code: 'malformed_message' });
      }
      expect(next.nextCursor).toBeUndefined();
      expect([...snapshot.peers, ...next.peers].map((member) => member.peerId)).toEqual([
        ...Array.from({ length: count }, (_, index) => `peer-${index}`),
        'last',
      ]);
    });
  });
}
