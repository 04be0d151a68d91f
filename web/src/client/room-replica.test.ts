import type { LoggedEvent } from '@plenary/cluster/protocol';
import { describe, expect, test } from 'vitest';
import {
  EMPTY_REPLICA,
  hasGap,
  receiveCatchUp,
  receiveEvent,
  receiveHead,
  receiveSnapshot,
  type RoomReplica,
} from './room-replica.ts';
import { roomChanges } from './room-changes.ts';
import { chatEvent, peerOf, snapshotOf, trackOf } from './testing/fixtures.ts';

const START = receiveSnapshot(EMPTY_REPLICA, snapshotOf({ lastEventId: '100-0' }));
const E1 = chatEvent('101-0', '100-0', 'one');
const E2 = chatEvent('101-1', '101-0', 'two');
const E3 = chatEvent('9000000000000000001-0', '101-1', 'three');

const texts = (replica: RoomReplica): string[] => replica.room.chat.map(({ text }) => text);
const receiveAll = (events: readonly LoggedEvent[]): RoomReplica =>
  events.reduce((replica, event) => receiveEvent(replica, event).replica, START);

describe('the live stream', () => {
  test.each([
    ['in order', [E1, E2, E3]],
    ['backwards', [E3, E2, E1]],
    ['with repeats', [E1, E1, E3, E3, E2, E1]],
  ])('%s gives the same room', (_title, events) => {
    const replica = receiveAll(events);
    expect(texts(replica)).toEqual(['one', 'two', 'three']);
    expect(replica.pending).toEqual([]);
    expect(hasGap(replica)).toBe(false);
  });

  test('an event after a gap stays pending, and the gap is reported', () => {
    const replica = receiveAll([E1, E3]);
    expect(texts(replica)).toEqual(['one']);
    expect(replica.pending).toEqual([E3]);
    expect(hasGap(replica)).toBe(true);
  });

  test('a repeated event is reported as a duplicate', () => {
    expect(receiveEvent(receiveAll([E1]), E1).duplicate).toBe(true);
    expect(receiveEvent(receiveAll([E2]), E2).duplicate).toBe(true);
    expect(receiveEvent(START, E1).duplicate).toBe(false);
  });
});

describe('closing a gap', () => {
  test('events from the log and pending events are merged without repeats', () => {
    const replica = receiveCatchUp(receiveAll([E3]), [E1, E2]);
    expect(texts(replica)).toEqual(['one', 'two', 'three']);
    expect(hasGap(replica)).toBe(false);
  });

  test('the order of the log is authoritative, also after the log was trimmed', () => {
    const replica = receiveCatchUp(START, [E2, E3]);
    expect(texts(replica)).toEqual(['two', 'three']);
  });

  test('a snapshot replaces the room, and newer pending events are applied after it', () => {
    const replica = receiveSnapshot(receiveAll([E2, E3]), snapshotOf({ lastEventId: '101-1' }));
    expect(texts(replica)).toEqual(['three']);
    expect(hasGap(replica)).toBe(false);
  });

  test('after a store lost writes, the lower id of the snapshot becomes the head', () => {
    const replica = receiveSnapshot(receiveHead(START, E3.id), snapshotOf({ lastEventId: '50-0' }));
    expect(replica.room.lastEventId).toBe('50-0');
    expect(hasGap(replica)).toBe(false);
  });

  test('a head that is newer than the room is a gap, an older one is not', () => {
    expect(hasGap(receiveHead(START, E1.id))).toBe(true);
    expect(hasGap(receiveHead(receiveAll([E1, E2]), E1.id))).toBe(false);
  });
});

describe('a snapshot in the middle of a meeting', () => {
  const room = {
    peers: [peerOf('ann'), peerOf('ben')],
    tracks: [trackOf('t1', 'ben', 'camera')],
  };

  test('[RC8] keeps chat messages that the store lost, and shows none twice', () => {
    const before = receiveSnapshot(EMPTY_REPLICA, snapshotOf(room));
    const said = receiveEvent(receiveEvent(before, E1).replica, E2).replica;
    const [one] = said.room.chat;
    const now = { ...snapshotOf({ ...room, lastEventId: '102-0' }), chat: one === undefined ? [] : [one] };
    const after = receiveSnapshot(said, now);
    expect(texts(after)).toEqual(texts(said));
    expect(after.room.lastEventId).toBe('102-0');
    expect(roomChanges(said.room, after.room, new Set())).toEqual([]);
  });

  test('[RC8] keeps publishers that its roster page does not list, and reports no leave', () => {
    const before = receiveSnapshot(
      EMPTY_REPLICA,
      snapshotOf({ ...room, peers: [...room.peers, peerOf('cy')] }),
    );
    const after = receiveSnapshot(
      before,
      snapshotOf({ ...room, lastEventId: '102-0', peers: [peerOf('ann')], peerCount: 3, nextCursor: '1' }),
    );
    expect([...after.room.peers.keys()]).toEqual(['ann', 'ben']);
    expect(roomChanges(before.room, after.room, new Set())).toEqual([]);
  });
});
