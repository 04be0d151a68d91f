import { describe, expect, test } from 'vitest';
import {
  ENTRY_CHANGE,
  HAND,
  ROOM_ENTRY,
  ROOM_SNAPSHOT,
  defineEntryKind,
  type EntryChange,
} from '@plenary/cluster/protocol';
import { z } from 'zod';
import { roomChanges } from './room-changes.ts';
import { entriesOfKind } from './known-entries.ts';
import { applyEvent, applyRosterPage, mayBePresent, roomFromSnapshot, type RoomState } from './room-state.ts';
import { chatEvent, loggedEvent, peerOf, snapshotOf, trackOf } from './testing/fixtures.ts';

const BEN = peerOf('ben', 'Ben');
const START = roomFromSnapshot(
  snapshotOf({
    peers: [peerOf('self'), BEN],
    tracks: [trackOf('t1', 'ben', 'microphone'), trackOf('t2', 'ben', 'camera')],
  }),
);

const after = (room: RoomState, ...events: Parameters<typeof loggedEvent>[2][]): RoomState =>
  events.reduce(
    (state, event, index) => applyEvent(state, loggedEvent(`${200 + index}-0`, '0-0', event)),
    room,
  );

describe('entries', () => {
  const hand = (peerId: string, version: number, value?: object): EntryChange =>
    ENTRY_CHANGE.parse({ kind: 'hand', peerId, version, value });
  const changed = (...changes: EntryChange[]) => ({ type: 'entries.changed', changes }) as const;
  const fields = (room: RoomState): unknown[] =>
    [...room.entries.values()].map(({ kind, version }) => [kind, version]);

  test('[RE5] the highest version of an entry wins, and a version without a value removes it', () => {
    const room = after(START, changed(hand('ben', 5, {}), hand('self', 6, {})), changed(hand('ben', 4)));

    expect(fields(room)).toEqual([
      ['hand', 5],
      ['hand', 6],
    ]);
    expect(fields(after(room, changed(hand('ben', 7))))).toEqual([['hand', 6]]);
  });

  test('[RE7] entries of a peer that leaves are removed, those of the room and of other peers stay', () => {
    const topic = ENTRY_CHANGE.parse({ kind: 'topic', version: 9, value: { text: 'x' } });
    const room = after(START, changed(hand('ben', 5, {}), hand('self', 6, {}), topic), {
      type: 'peer.left',
      peerId: BEN.peerId,
      reason: 'left',
    });

    expect(fields(room)).toEqual([
      ['hand', 6],
      ['topic', 9],
    ]);
  });

  test('[RE8] entries of unknown kinds are kept; a snapshot replaces all entries', () => {
    const poll = ROOM_ENTRY.parse({
      kind: 'poll',
      name: 'a',
      version: 3,
      value: { options: [1, { x: null }] },
    });
    const room = roomFromSnapshot(snapshotOf({ entries: [poll] }), after(START, changed(hand('ben', 5, {}))));

    expect([...room.entries.values()]).toEqual([poll]);
    expect(entriesOfKind(room.entries, HAND)).toEqual([]);
  });

  test('[RE8] a snapshot of an older edge has no entries', () => {
    const { entries: _none, ...before } = snapshotOf();
    expect(roomFromSnapshot(ROOM_SNAPSHOT.parse(before)).entries.size).toBe(0);
  });

  test('[RE8] an entry of a known kind that cannot be parsed, as from a later release, is skipped', () => {
    const note = defineEntryKind({
      kind: 'note',
      owner: 'room',
      value: z.object({ text: z.string().max(5).regex(/^.*$/) }),
      maxOfKind: 9,
    });
    const entry = (name: string, version: number, value: object): EntryChange =>
      ENTRY_CHANGE.parse({ kind: 'note', name, version, value });
    const room = after(
      START,
      changed(
        entry('b', 2, { text: 'two', more: 1 }),
        entry('a', 1, { text: 'one' }),
        entry('c', 3, { text: 7 }),
      ),
    );

    expect(entriesOfKind(room.entries, note).map(({ value }) => value)).toEqual([
      { text: 'one' },
      { text: 'two' },
    ]);
  });
});

describe('applyEvent', () => {
  test('a repeated join counts once', () => {
    const joined = { type: 'peer.joined', peer: peerOf('cy') } as const;
    const room = after(START, joined, joined);

    expect(room.peerCount).toBe(3);
    expect(room.peers.size).toBe(3);
    expect(room.lastEventId).toBe('201-0');
  });

  test('[WB1] a peer that joins and leaves repeatedly under one id is absent after each leave, and counted once', () => {
    const joined = { type: 'peer.joined', peer: peerOf('cy', 'Cy') } as const;
    const left = { type: 'peer.left', peerId: peerOf('cy').peerId, reason: 'left' } as const;
    const room = after(START, joined, left, joined, left);

    expect([...room.peers.keys()]).toEqual(['self', 'ben']);
    expect(room.peerCount).toBe(2);

    const back = after(START, joined, left, joined);

    expect(back.peers.get(peerOf('cy').peerId)?.displayName).toBe('Cy');
    expect(back.peerCount).toBe(3);
  });

  test('[WB20] a repeated join updates the peer’s data', () => {
    const room = after(START, { type: 'peer.joined', peer: peerOf('ben', 'Benjamin', 'host') });

    expect(room.peers.get(BEN.peerId)).toMatchObject({ displayName: 'Benjamin', role: 'host' });
    expect(room.peerCount).toBe(2);
  });

  test('a leave removes the peer’s tracks, and counts once', () => {
    const left = { type: 'peer.left', peerId: BEN.peerId, reason: 'left' } as const;
    const room = after(START, left, left);

    expect(room.peerCount).toBe(1);
    expect(room.tracks.size).toBe(0);
  });

  test('a leave of a peer that no loaded page lists changes only the count', () => {
    const big = roomFromSnapshot(snapshotOf({ peerCount: 500, nextCursor: 'c' }));
    expect(after(big, { type: 'peer.left', peerId: BEN.peerId, reason: 'left' }).peerCount).toBe(499);
  });

  test('tracks are published, muted and ended; events of unknown tracks are ignored', () => {
    const track = trackOf('t3', 'ben', 'screen');
    const room = after(
      START,
      { type: 'track.published', track },
      { type: 'track.changed', trackId: track.trackId, paused: true },
      { type: 'track.changed', trackId: trackOf('tx', 'ben', 'camera').trackId, paused: true },
      {
        type: 'track.ended',
        trackId: trackOf('t1', 'ben', 'camera').trackId,
        peerId: BEN.peerId,
        reason: 'unpublished',
      },
    );

    expect([...room.tracks.values()].map(({ trackId, paused }) => [trackId, paused])).toEqual([
      ['t2', false],
      ['t3', true],
    ]);
  });

  test('a chat message that is in the snapshot already is not shown twice', () => {
    const once = applyEvent(START, chatEvent('101-0', '100-0', 'hi'));
    expect(
      applyEvent(once, {
        ...chatEvent('102-0', '101-0', 'hi'),
        event: chatEvent('101-0', '100-0', 'hi').event,
      }).chat,
    ).toHaveLength(1);
  });
});

describe('applyRosterPage', () => {
  test('a page does not restore a peer that left while the page was requested', () => {
    const big = roomFromSnapshot(snapshotOf({ peers: [peerOf('self'), BEN], peerCount: 3, nextCursor: 'c' }));
    const room = after(big, { type: 'peer.left', peerId: BEN.peerId, reason: 'left' });
    const paged = applyRosterPage(room, { peers: [BEN, peerOf('cy')] });

    expect([...paged.peers.keys()]).toEqual(['self', 'cy']);
    expect(paged.nextCursor).toBeUndefined();
  });
});

test('[MS45] a peer that the roster does not list may be present until the whole roster is loaded, or the peer has left', () => {
  const { peerId } = peerOf('cy');
  const big = roomFromSnapshot(snapshotOf({ peerCount: 9, nextCursor: 'c' }));

  expect(mayBePresent(START, BEN.peerId)).toBe(true);
  expect(mayBePresent(START, peerId)).toBe(false);
  expect(mayBePresent(big, peerId)).toBe(true);
  expect(mayBePresent(after(big, { type: 'peer.left', peerId, reason: 'left' }), peerId)).toBe(false);
  expect(mayBePresent(applyRosterPage(big, { peers: [peerOf('di')] }), peerId)).toBe(false);
});

describe('roomChanges', () => {
  test('reports joins, leaves and chat, but not the user’s own and not those of a roster page', () => {
    const changed = after(
      START,
      { type: 'peer.joined', peer: peerOf('cy') },
      { type: 'peer.left', peerId: BEN.peerId, reason: 'left' },
    );
    const own = new Set([peerOf('self').peerId]);

    expect(roomChanges(START, changed, own).map(({ type }) => type)).toEqual(['peer-joined', 'peer-left']);
    expect(
      roomChanges(
        START,
        after(START, { type: 'peer.joined', peer: peerOf('cy') }),
        new Set([peerOf('cy').peerId]),
      ),
    ).toEqual([]);

    const big = roomFromSnapshot(snapshotOf({ peerCount: 9, nextCursor: 'c' }));

    expect(roomChanges(big, applyRosterPage(big, { peers: [peerOf('cy')] }), new Set())).toEqual([]);
  });
});
