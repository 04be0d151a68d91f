/** The contract of every version of the room entries. SPEC RE. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVENT_ID, HIGHEST_EPOCH } from '../protocol/ids.ts';
import type { PeerId } from '../protocol/ids.ts';
import {
  FAREWELL_KEPT_MS,
  MAX_ENTRIES_OF_PEER,
  MAX_ENTRY_TOMBSTONES,
  MAX_ROOM_ENTRY_BYTES,
} from '../limits/store-limits.ts';
import { MAX_ENTRY_BYTES, MAX_ENTRY_WRITES } from '../protocol/room-entry.ts';
import type { EntryChange, EntryKey, EntryValue } from '../protocol/room-entry.ts';
import { ROOM, isChain, joinRoom } from '../testing/rooms-under-test.ts';
import { edge, peer } from '../testing/samples.ts';
import type { RecoveryUnderTest } from './recovery-store.contract.ts';
import { entriesDigestOf } from './room-entries.ts';
import type { EntryWrite } from './room-entries.ts';
import type { RoomStores } from './room-stores.ts';

const [ANN, BOB] = [peer('ann'), peer('bob')];
/** The edge at which all peers of these tests join. */
const EDGE = edge('edge-a');
const MOST = 1_000;

const hand = (peerId: PeerId, value?: EntryValue): EntryWrite => ({
  kind: 'hand',
  peerId,
  maxOfKind: MOST,
  ...(value === undefined ? {} : { value }),
});
const setting = (name: string, value?: EntryValue): EntryWrite => ({
  kind: 'setting',
  name,
  maxOfKind: MOST,
  ...(value === undefined ? {} : { value }),
});
const withVersion = ({ kind, peerId, name, value }: EntryWrite, version: number): EntryChange => ({
  kind,
  version,
  ...(peerId === undefined ? {} : { peerId }),
  ...(name === undefined ? {} : { name }),
  ...(value === undefined ? {} : { value }),
});

export function describeRoomEntries(version: string, open: () => Promise<RecoveryUnderTest>): void {
  describe(`room entries (${version})`, () => {
    let subject: RecoveryUnderTest;
    let entries: RoomStores['entries'];
    let roomLog: RoomStores['roomLog'];
    beforeEach(async () => {
      subject = await open();
      ({ entries, roomLog } = subject.stores);
    });
    afterEach(() => subject.close());

    const join = async (name: string) => joinRoom(subject.stores, name);
    const change = async (actor: PeerId, ...writes: EntryWrite[]) => {
      const result = await entries.change({ roomId: ROOM, actor, edgeId: EDGE, writes });
      if (result.type !== 'changed') throw new Error('unmet without any condition');
      return result;
    };
    const live = async (): Promise<EntryChange[]> =>
      (await entries.list(ROOM)).filter(({ value }) => value !== undefined);
    /** The peers with a raised hand, in order. */
    const raised = async () =>
      (await live())
        .filter(({ kind }) => kind === 'hand')
        .sort((left, right) => left.version - right.version)
        .map(({ peerId }) => peerId);
    const digest = async () =>
      (await subject.stores.recovery.republishPeers(ROOM, edge('edge-z'), [], EVENT_ID.parse('0-0'))).entries;
    /** Expects the store's counters to match its entries. */
    const expectCounted = async (): Promise<void> =>
      expect(await digest()).toEqual(entriesDigestOf(await entries.list(ROOM)));

    it('[RE1] versions in a room only grow over entries, owners and calls, so that they order raised hands', async () => {
      await Promise.all(['ann', 'bob', 'cem'].map(join));
      const names = ['bob', 'ann', 'cem'].map(peer);
      const seen: number[] = [];
      for (const name of names) {
        const { entries: written } = await change(name, hand(name, {}), setting(name, { by: name }));
        seen.push(...written.map((entry) => entry.version));
      }
      seen.push(...(await change(BOB, hand(BOB))).entries.map((entry) => entry.version));
      expect(seen).toEqual([...new Set(seen)].sort((left, right) => left - right));
      expect(await raised()).toEqual(['ann', 'cem']);
      await change(BOB, hand(BOB, {}));
      expect(await raised()).toEqual(['ann', 'cem', 'bob']);
    });

    it('[RE10] versions grow over a failover that lost some', async () => {
      await join('ann');
      const bringBack = await subject.checkpoint();
      const [before] = (await change(ANN, hand(ANN, {}))).entries;
      await bringBack();
      const [after] = (await change(ANN, hand(ANN, {}))).entries;
      expect(after?.version).toBeGreaterThan(before?.version ?? Infinity);
    });

    it('[RE2] a change is made only if each entry is as its author knows it, otherwise not at all', async () => {
      await join('ann');
      const [first] = (await change(ANN, setting('topic', { text: 'one' }))).entries;
      const at = (condition: number | undefined, ...writes: EntryWrite[]) =>
        entries.change({
          roomId: ROOM,
          actor: ANN,
          edgeId: EDGE,
          conditions: [
            { kind: 'setting', name: 'topic', ...(condition === undefined ? {} : { version: condition }) },
            { kind: 'setting', name: 'other' },
          ],
          writes,
        });
      const nothing = { kind: 'setting', name: 'other', version: 0 };
      const both = [setting('topic', { text: 'two' }), hand(ANN, {})];
      for (const wrong of [undefined, 1])
        expect(await at(wrong, ...both)).toEqual({ type: 'unmet', current: [first, nothing] });
      expect(await raised()).toEqual([]);
      expect(await at(first?.version, ...both)).toMatchObject({ type: 'changed', events: [{}] });
      expect(await raised()).toEqual(['ann']);
      const [second] = (await change(ANN, setting('topic'))).entries;
      expect(await at(first?.version, ...both)).toEqual({ type: 'unmet', current: [second, nothing] });
      // A deleted entry counts as missing.
      expect(await at(undefined, setting('topic', { text: 'three' }))).toMatchObject({ type: 'changed' });
    });

    it('[RE2] when many change an entry from the same version at once, one succeeds', async () => {
      await join('ann');
      const [{ version: from } = { version: 0 }] = (await change(ANN, setting('topic', { by: -1 }))).entries;
      const results = await Promise.all(
        Array.from({ length: 24 }, (_, by) =>
          entries.change({
            roomId: ROOM,
            actor: ANN,
            edgeId: EDGE,
            conditions: [{ kind: 'setting', name: 'topic', version: from }],
            writes: [setting('topic', { by })],
          }),
        ),
      );
      expect(results.filter(({ type }) => type === 'changed')).toHaveLength(1);
      const winner = results.findIndex(({ type }) => type === 'changed');
      expect(await live()).toMatchObject([{ value: { by: winner } }]);
    });

    it('[RE11] only a peer in the room may change entries, and only those of peers in the room', async () => {
      await expect(change(ANN, hand(ANN, {}))).rejects.toMatchObject({ code: 'peer_not_found' });
      await join('bob');
      await expect(change(ANN, setting('topic', {}))).rejects.toMatchObject({ code: 'peer_not_found' });
      await expect(change(BOB, setting('topic', {}), hand(ANN, {}))).rejects.toMatchObject({
        code: 'peer_not_found',
      });
      expect(await entries.list(ROOM)).toEqual([]);
      await change(BOB, hand(ANN));
      await expectCounted();
    });

    it('[RE12] an edge whose client resumed at another edge cannot change its entries any more', async () => {
      const { epoch } = await join('ann');
      await subject.stores.placements.attachPeer(ROOM, ANN, epoch, edge('edge-b'));
      await expect(change(ANN, hand(ANN, {}))).rejects.toMatchObject({ code: 'replaced' });
      await entries.change({ roomId: ROOM, actor: ANN, edgeId: edge('edge-b'), writes: [hand(ANN, {})] });
      expect(await raised()).toEqual(['ann']);
    });

    it('[RE3] a change is one event with all its writes, in the order of the room', async () => {
      await Promise.all(['ann', 'bob'].map(join));
      const before = await roomLog.lastEventId(ROOM);
      const changed = await change(
        ANN,
        hand(ANN, { note: 'ü"\\|,' }),
        hand(BOB, {}),
        setting('a', { x: [1, {}] }),
      );
      const later = await change(BOB, hand(BOB), setting('nothing'));
      expect(changed.events.map(({ event }) => event)).toEqual([
        { type: 'entries.changed', changes: changed.entries },
      ]);
      expect(later.events.map(({ event }) => event)).toEqual([
        {
          type: 'entries.changed',
          changes: [{ kind: 'hand', peerId: 'bob', version: later.entries[0]?.version }],
        },
      ]);
      const events = await roomLog.eventsAfter(ROOM, before);
      expect(events).toEqual([...changed.events, ...later.events]);
      expect(isChain([...changed.events, ...later.events])).toBe(true);
    });

    it('[RE13] a repeat that would change nothing keeps the version and creates no event', async () => {
      await Promise.all(['ann', 'bob'].map(join));
      const [first] = (await change(ANN, hand(ANN, {}))).entries;
      await change(BOB, hand(BOB, {}));
      expect(await change(ANN, hand(ANN, {}))).toEqual({ type: 'changed', entries: [first], events: [] });
      expect(await raised()).toEqual(['ann', 'bob']);
      const [lowered] = (await change(ANN, hand(ANN))).entries;
      expect(await change(ANN, hand(ANN))).toEqual({ type: 'changed', entries: [lowered], events: [] });
      expect((await change(ANN, setting('never'))).entries).toEqual([
        { kind: 'setting', name: 'never', version: 0 },
      ]);
      await expectCounted();
    });

    it('[RE14] the snapshot has the live entries and no deleted ones', async () => {
      await Promise.all(['ann', 'bob'].map(join));
      const {
        entries: [ofAnn],
      } = await change(ANN, hand(ANN, { note: 'first' }), hand(BOB, {}));
      await change(BOB, hand(BOB));
      expect((await join('cem')).snapshot.entries).toEqual([ofAnn]);
      expect((await roomLog.snapshot(ROOM))?.entries).toEqual([ofAnn]);
    });

    it('[RE4] a room has a limited number of entries of a kind, and a deleted one frees its place', async () => {
      await Promise.all(['ann', 'bob', 'cem'].map(join));
      const few = (name: string, value?: EntryValue) => ({ ...hand(peer(name), value), maxOfKind: 2 });
      await change(ANN, few('ann', {}));
      await change(BOB, few('bob', {}));
      const full = { code: 'limit_reached' };
      await expect(change(peer('cem'), few('cem', {}))).rejects.toMatchObject(full);
      await expect(change(peer('cem'), setting('a', {}), few('cem', {}))).rejects.toMatchObject(full);
      expect(await raised()).toEqual(['ann', 'bob']);
      await change(ANN, few('ann', { note: 'changed' }));
      await change(ANN, few('ann'), few('cem', {}));
      expect(await raised()).toEqual(['bob', 'cem']);
      await expectCounted();
    });

    it('[RE15] a room has a limited number of bytes of entries', async () => {
      await join('ann');
      const text = 'ü'.repeat(MAX_ENTRY_BYTES / 2 - 20);
      let written = 0;
      const fill = async (): Promise<void> => {
        for (; ; written += 1) await change(ANN, setting(`s-${written}`, { text }));
      };
      await expect(fill()).rejects.toMatchObject({ code: 'limit_reached' });
      expect(written).toBe(
        Math.floor(MAX_ROOM_ENTRY_BYTES / (text.length * 2 + 11 + 'setting||s-10'.length)),
      );
      await change(ANN, setting('s-0', { text: 'short' }));
      await change(ANN, setting('s-1'));
      await change(ANN, setting('more', { text }));
      await expectCounted();
    });

    it('[RE16] a peer has a limited number of entries, deleted ones included', async () => {
      await Promise.all(['ann', 'bob'].map(join));
      const vote = (index: number, value?: EntryValue): EntryWrite => ({
        ...hand(ANN, value),
        kind: 'vote',
        name: `v-${index}`,
      });
      for (let index = 0; index < 2 * MAX_ENTRIES_OF_PEER; index += 1) {
        await change(ANN, vote(index, {}));
        await change(ANN, vote(index));
      }
      expect((await entries.list(ROOM)).length).toBeLessThanOrEqual(MAX_ENTRIES_OF_PEER);
      await expectCounted();
      for (let index = 0; index < MAX_ENTRIES_OF_PEER; index += 1) await change(ANN, vote(1_000 + index, {}));
      await expect(change(ANN, vote(0, {}))).rejects.toMatchObject({ code: 'limit_reached' });
      await change(BOB, hand(BOB, {}));
      await expectCounted();
    });

    it('[RE17] a change has a limited number of conditions and writes, each entry once', async () => {
      await join('ann');
      const malformed = { code: 'malformed_message' };
      const many = Array.from({ length: MAX_ENTRY_WRITES + 1 }, (_, index) => setting(`s-${index}`, {}));
      await expect(change(ANN, ...many)).rejects.toMatchObject(malformed);
      await expect(change(ANN, hand(ANN, {}), hand(ANN))).rejects.toMatchObject(malformed);
      const conditions: EntryKey[] = many.map(({ kind, name }) => ({
        kind,
        ...(name === undefined ? {} : { name }),
      }));
      await expect(
        entries.change({ roomId: ROOM, actor: ANN, edgeId: EDGE, conditions, writes: [] }),
      ).rejects.toMatchObject(malformed);
      await change(ANN, ...many.slice(1));
    });

    it('[RE26] a value that readers would refuse is not stored', async () => {
      await join('ann');
      const tooLarge = setting('topic', { text: 'x'.repeat(MAX_ENTRY_BYTES) });

      await expect(change(ANN, tooLarge)).rejects.toMatchObject({ code: 'malformed_message' });

      expect(await entries.list(ROOM)).toEqual([]);
    });

    it('[RE5] after FLUSHALL the edges’ entries are restored in the same order, and deleted entries stay deleted', async () => {
      const people = await Promise.all(['ann', 'bob', 'cem'].map(join));
      for (const name of ['bob', 'ann', 'cem'].map(peer)) await change(name, hand(name, {}));
      await change(BOB, hand(BOB), setting('topic', { text: 'x' }));
      const known = await entries.list(ROOM);
      const before = await digest();
      await subject.flush();
      const alone = await entries.republish(ROOM, known);
      expect(alone.verdicts.map(({ verdict }) => verdict)).toEqual(known.map(() => 'unplaced'));
      expect(await subject.remainingCount()).toBe(0);
      for (const { peerId } of people) await join(peerId);
      const { verdicts, events } = await entries.republish(ROOM, known);
      expect(verdicts).toEqual([]);
      expect(events).toHaveLength(1);
      expect(await entries.list(ROOM)).toHaveLength(known.length);
      expect(await raised()).toEqual(['ann', 'cem']);
      expect(await digest()).toEqual(before);
      expect(await entries.republish(ROOM, known)).toEqual({ verdicts: [], events: [] });
      await expectCounted();
    });

    it('[RE5] after a failover that lost a raise and a lowering, the later state of both is restored', async () => {
      await Promise.all(['ann', 'bob'].map(join));
      await change(BOB, hand(BOB, {}));
      const bringBack = await subject.checkpoint();
      await change(ANN, hand(ANN, {}));
      await change(BOB, hand(BOB));
      const known = await entries.list(ROOM);
      await bringBack();
      expect(await raised()).toEqual(['bob']);
      const { events } = await entries.republish(ROOM, known);
      expect(await raised()).toEqual(['ann']);
      const [told] = events;
      if (told?.event.type !== 'entries.changed') throw new Error('no event');
      expect(told.event.changes).toHaveLength(2);
      expect(told.event.changes).toEqual(expect.arrayContaining([...known]));
      // An edge that knows an older version restores nothing.
      expect(await entries.republish(ROOM, [{ kind: 'hand', peerId: BOB, version: 5, value: {} }])).toEqual({
        verdicts: [],
        events: [],
      });
      expect(await raised()).toEqual(['ann']);
      await expectCounted();
    });

    it('[RE18] entries of a peer that left are not restored, neither before nor after it joins again', async () => {
      await join('bob');
      const ann = await join('ann');
      const { entries: known } = await change(ANN, hand(ANN, {}));
      const republish = async () =>
        (
          await entries.republish(
            ROOM,
            known.map((entry) => ({ ...entry })),
          )
        ).verdicts.map(({ verdict }) => verdict);
      await roomLog.removePeer(ROOM, ANN, ann.epoch, 'left');
      expect(await republish()).toEqual(['unplaced']);
      await subject.passTime(2);
      await join('ann');
      expect(await republish()).toEqual(['gone']);
      expect(await entries.list(ROOM)).toEqual([]);
    });

    it('[RE19] the oldest of too many deleted entries are forgotten, and not restored either', async () => {
      await join('ann');
      const {
        entries: [oldest],
      } = await change(ANN, setting('oldest', {}));
      await change(ANN, setting('oldest'));
      let index = 0;
      while ((await entries.list(ROOM)).some(({ name }) => name === 'oldest')) {
        const names = Array.from({ length: MAX_ENTRY_WRITES }, () => `s-${(index += 1)}`);
        await change(ANN, ...names.map((name) => setting(name, {})));
        await change(ANN, ...names.map((name) => setting(name)));
        expect(index).toBeLessThan(2 * MAX_ENTRY_TOMBSTONES);
      }
      expect((await entries.list(ROOM)).length).toBeLessThanOrEqual(MAX_ENTRY_TOMBSTONES);
      if (oldest === undefined) throw new Error('nothing was written');
      const { verdicts } = await entries.republish(ROOM, [oldest]);
      expect(verdicts).toEqual([{ entry: { kind: 'setting', name: 'oldest' }, verdict: 'gone' }]);
      await expectCounted();
    });

    it('[RE20] republished entries stay within the limits of a room and of a peer', async () => {
      await join('ann');
      const value = { text: 'x'.repeat(MAX_ENTRY_BYTES - 40) };
      const count = Math.ceil(MAX_ROOM_ENTRY_BYTES / MAX_ENTRY_BYTES) + 4;
      const told = Array.from({ length: count }, (_, index) =>
        withVersion(setting(`s-${index}`, value), index + 1),
      );
      const { verdicts } = await entries.republish(ROOM, told);
      expect(verdicts.map(({ verdict }) => verdict)).toContain('full');
      expect(verdicts.length).toBeLessThan(8);
      const votes = Array.from({ length: MAX_ENTRIES_OF_PEER + 1 }, (_, index) =>
        withVersion({ ...hand(ANN), name: `v-${index}` }, index + 1),
      );
      expect((await entries.republish(ROOM, votes)).verdicts).toHaveLength(1);
      await expectCounted();
    });

    it('[RE1] an entry of the highest version does not block the room', async () => {
      await join('ann');
      await entries.republish(ROOM, [withVersion(setting('last', {}), HIGHEST_EPOCH)]);
      const { entries: written } = await change(ANN, setting('next', {}), setting('later', {}));
      expect(written[1]?.version).toBeGreaterThan(written[0]?.version ?? Infinity);
      expect(written[1]?.version).toBeLessThan(HIGHEST_EPOCH);
      await expectCounted();
    });

    it('[RE6] equal entries have equal digests, and different entries have different ones', async () => {
      await Promise.all(['ann', 'bob'].map(join));
      const seen = [await digest()];
      for (const write of [
        hand(ANN, {}),
        hand(BOB, {}),
        setting('a', {}),
        hand(ANN),
        setting('a', { b: 1 }),
      ]) {
        await change(ANN, write);
        await expectCounted();
        seen.push(await digest());
      }
      expect(new Set(seen.map((one) => JSON.stringify(one))).size).toBe(seen.length);
    });

    it('[RE7][RE22] the entries of a peer end with the peer and those of the room with the room: nothing remains', async () => {
      const [ann, bob] = [await join('ann'), await join('bob')];
      await change(ANN, hand(ANN, {}), setting('topic', { text: 'x' }));
      await change(BOB, hand(BOB, {}));
      await change(BOB, hand(BOB));
      await roomLog.removePeer(ROOM, ANN, ann.epoch, 'left');
      expect((await entries.list(ROOM)).map(({ kind }) => kind).sort()).toEqual(['hand', 'setting']);
      expect(await raised()).toEqual([]);
      await expectCounted();
      await roomLog.removePeer(ROOM, BOB, bob.epoch, 'left');
      expect(await subject.remainingCount()).toBe(0);
      await join('ann');
      expect((await roomLog.snapshot(ROOM))?.entries).toEqual([]);
      await expectCounted();
    });

    it('[RE22] entries also end with a room whose last peer is removed', async () => {
      const ann = await join('ann');
      await change(ANN, hand(ANN, {}), setting('topic', {}));
      await roomLog.removePeer(ROOM, ANN, ann.epoch, 'kicked');
      expect(await entries.list(ROOM)).toEqual([]);
      await subject.passTime(FAREWELL_KEPT_MS + 1);
      expect(await subject.remainingCount()).toBe(0);
    });
  });
}
