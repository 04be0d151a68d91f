import type { LoggedEvent } from '@plenary/cluster/protocol';
import { describe, expect, test } from 'vitest';
import {
  EMPTY_LOG,
  isBehind,
  receiveCatchUp,
  receiveEvent,
  receiveHead,
  receiveSnapshot,
  type OrderedRoom,
} from './ordered-room.ts';
import { roomChanges } from './room-changes.ts';
import { chatEvent, peerOf, snapshotOf, trackOf } from './testing/fixtures.ts';

const START = receiveSnapshot(EMPTY_LOG, snapshotOf({ lastEventId: '100-0' }));
const E1 = chatEvent('101-0', '100-0', 'one');
const E2 = chatEvent('101-1', '101-0', 'two');
const E3 = chatEvent('9000000000000000001-0', '101-1', 'three');

const texts = (log: OrderedRoom): string[] => log.room.chat.map(({ text }) => text);
const receiveAll = (events: readonly LoggedEvent[]): OrderedRoom =>
  events.reduce((log, event) => receiveEvent(log, event).log, START);

describe('the live stream', () => {
  test.each([
    ['in order', [E1, E2, E3]],
    ['backwards', [E3, E2, E1]],
    ['with repeats', [E1, E1, E3, E3, E2, E1]],
  ])('%s gives the same room', (_title, events) => {
    const log = receiveAll(events);
    expect(texts(log)).toEqual(['one', 'two', 'three']);
    expect(log.waiting).toEqual([]);
    expect(isBehind(log)).toBe(false);
  });

  test('an event ahead of a gap waits, and the gap is known', () => {
    const log = receiveAll([E1, E3]);
    expect(texts(log)).toEqual(['one']);
    expect(log.waiting).toEqual([E3]);
    expect(isBehind(log)).toBe(true);
  });

  test('a repeat is told as one', () => {
    expect(receiveEvent(receiveAll([E1]), E1).duplicate).toBe(true);
    expect(receiveEvent(receiveAll([E2]), E2).duplicate).toBe(true);
    expect(receiveEvent(START, E1).duplicate).toBe(false);
  });
});

describe('closing a gap', () => {
  test('the log’s answer and what waited come together without repeats', () => {
    const log = receiveCatchUp(receiveAll([E3]), [E1, E2]);
    expect(texts(log)).toEqual(['one', 'two', 'three']);
    expect(isBehind(log)).toBe(false);
  });

  test('the log is trusted about its order, also where it was trimmed', () => {
    const log = receiveCatchUp(START, [E2, E3]);
    expect(texts(log)).toEqual(['two', 'three']);
  });

  test('a snapshot replaces all, and newer events still follow it', () => {
    const log = receiveSnapshot(receiveAll([E2, E3]), snapshotOf({ lastEventId: '101-1' }));
    expect(texts(log)).toEqual(['three']);
    expect(isBehind(log)).toBe(false);
  });

  test('after a store that lost its writes, the snapshot’s order counts, not the older, higher one', () => {
    const log = receiveSnapshot(receiveHead(START, E3.id), snapshotOf({ lastEventId: '50-0' }));
    expect(log.room.lastEventId).toBe('50-0');
    expect(isBehind(log)).toBe(false);
  });

  test('a head ahead of the room is a gap; an old one is none', () => {
    expect(isBehind(receiveHead(START, E1.id))).toBe(true);
    expect(isBehind(receiveHead(receiveAll([E1, E2]), E1.id))).toBe(false);
  });
});

describe('a snapshot in the middle of a meeting', () => {
  const room = {
    peers: [peerOf('ann'), peerOf('ben')],
    tracks: [trackOf('t1', 'ben', 'camera')],
  };

  test('[RC8] takes no chat message off the screen that the store lost, and shows none twice', () => {
    const before = receiveSnapshot(EMPTY_LOG, snapshotOf(room));
    const said = receiveEvent(receiveEvent(before, E1).log, E2).log;
    const [one] = said.room.chat;
    const now = { ...snapshotOf({ ...room, lastEventId: '102-0' }), chat: one === undefined ? [] : [one] };
    const after = receiveSnapshot(said, now);
    expect(texts(after)).toEqual(texts(said));
    expect(after.room.lastEventId).toBe('102-0');
    expect(roomChanges(said.room, after.room, new Set())).toEqual([]);
  });

  test('[RC8] keeps publishers whom its page of the roster does not list, and tells of nobody’s leaving', () => {
    const before = receiveSnapshot(EMPTY_LOG, snapshotOf({ ...room, peers: [...room.peers, peerOf('cy')] }));
    const after = receiveSnapshot(
      before,
      snapshotOf({ ...room, lastEventId: '102-0', peers: [peerOf('ann')], peerCount: 3, nextCursor: '1' }),
    );
    expect([...after.room.peers.keys()]).toEqual(['ann', 'ben']);
    expect(roomChanges(before.room, after.room, new Set())).toEqual([]);
  });
});
