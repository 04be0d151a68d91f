import { entriesDigestOf } from '@plenary/cluster';
import type { EntryWrite, RoomStores } from '@plenary/cluster';
import type { PeerId } from '@plenary/cluster/ids';
import type { CarriedEvent, EntryChange, EntryValue } from '@plenary/cluster/protocol';
import { edge, peer } from '@plenary/cluster/testing/samples';
import { beforeEach, describe, expect, it } from 'vitest';
import { EdgeParts, OWN_EDGE, ROOM } from '../testing/edge-parts.ts';
import { EntryProjection } from './entry-projection.ts';
import { EntryReconciler } from './entry-reconciler.ts';

const MOST = 1_000;
const [ANN, BOB] = [peer('ann'), peer('bob')];
const hand = (peerId: PeerId, version: number, value?: EntryValue): EntryChange => ({
  kind: 'hand',
  peerId,
  version,
  ...(value === undefined ? {} : { value }),
});
const changed = (...changes: EntryChange[]): CarriedEvent['event'] => ({ type: 'entries.changed', changes });
const fieldsOf = (projection: EntryProjection): unknown[] =>
  projection.all().map(({ peerId, name, version }) => [peerId ?? name, version]);

describe('what an edge knows of entries', () => {
  let projection: EntryProjection;
  beforeEach(() => {
    projection = new EntryProjection();
  });

  it('[RE5] is that of the highest version, in whatever order it hears of them', () => {
    projection.note(changed(hand(ANN, 7), hand(BOB, 3, {})));
    projection.note(changed(hand(ANN, 5, {}), hand(BOB, 9)));
    expect(projection.all()).toEqual([hand(ANN, 7), hand(BOB, 9)]);
    expect(projection.digest).toEqual({ count: 2, sum: 16 });
  });

  it('[RE7] goes with whose it is, and stays as it is whatever else happens', () => {
    projection.note(
      changed(hand(ANN, 1, {}), hand(BOB, 2, {}), { kind: 'topic', version: 3, value: { text: 'x' } }),
    );
    projection.note({ type: 'peer.left', peerId: ANN, reason: 'left' });
    projection.note({
      type: 'peer.joined',
      peer: { peerId: ANN, displayName: 'Ann', role: 'host', joinedAtMs: 1 },
    });
    expect(fieldsOf(projection)).toEqual([
      [BOB, 2],
      [undefined, 3],
    ]);
  });

  it('[RE6] what it heard while the store was read is not lost by that, and what the store does not take yet is kept', () => {
    projection.note(changed(hand(ANN, 1, {}), hand(BOB, 2, {}), hand(peer('eve'), 3, {})));
    const known = projection.all();
    projection.note(changed(hand(peer('cem'), 4, {}), hand(peer('eve'), 9)));
    projection.replace(known, [hand(BOB, 5), hand(peer('eve'), 3, {}), hand(peer('dan'), 3, {})]);
    expect(fieldsOf(projection)).toEqual([
      ['eve', 9],
      ['cem', 4],
      ['bob', 5],
      ['dan', 3],
    ]);
    projection.replace(projection.all(), []);
    expect(projection.all()).toEqual([]);
  });
});

describe('an edge and the store', () => {
  let parts: EdgeParts;
  let stores: RoomStores;
  beforeEach(() => {
    parts = new EdgeParts();
    ({ stores } = parts);
  });

  const join = async (name: string) => parts.hold(await parts.place(name, 'node'));
  const write = async (actor: PeerId, ...writes: Omit<EntryWrite, 'most'>[]) => {
    const result = await stores.entries.change({
      roomId: ROOM,
      actor,
      edgeId: OWN_EDGE,
      writes: writes.map((one) => ({ ...one, most: MOST })),
    });
    if (result.type !== 'changed') throw new Error('not changed');
    return result.events;
  };
  const raise = async (peerId: PeerId) => write(peerId, { kind: 'hand', peerId, value: {} });
  const projection = (): EntryProjection => parts.localRooms.entriesOf(ROOM);
  const hear = (events: readonly CarriedEvent[]): void => {
    for (const { event } of events) parts.localRooms.hear(ROOM, event);
  };
  const standing = async () =>
    stores.recovery.republishPeers(ROOM, edge('other'), [], parts.localRooms.newestEventId(ROOM));
  const reconcile = async (isRebuilding = false) =>
    parts.entryReconciler.reconcile(ROOM, { ...(await standing()), isRebuilding });
  const expectSame = async (): Promise<void> => {
    expect(projection().digest).toEqual((await standing()).entries);
    expect(projection().digest).toEqual(entriesDigestOf(await stores.entries.all(ROOM)));
  };

  it('[RE6] that have the same ask each other for nothing', async () => {
    await join('ann');
    hear(await raise(ANN));
    const reconciler = new EntryReconciler({
      entries: {
        republish: () => Promise.reject(new Error('was asked')),
        all: () => Promise.reject(new Error('was asked')),
      },
      localRooms: parts.localRooms,
      channel: parts.channel,
      metrics: parts.metrics,
    });
    await reconciler.reconcile(ROOM, await standing());
    await raise((await join('bob')).peerId);
    await expect(reconciler.reconcile(ROOM, await standing())).rejects.toThrow('was asked');
  });

  it('[RE21] an edge that missed what happened reads it, and one that comes later', async () => {
    await Promise.all(['ann', 'bob'].map(join));
    await raise(BOB);
    await raise(ANN);
    await write(BOB, { kind: 'hand', peerId: BOB });
    await reconcile();
    expect(projection().all()).toMatchObject([{ peerId: 'bob' }, { peerId: 'ann', value: {} }]);
    expect(parts.channel.events).toEqual([]);
    await expectSame();
  });

  it('[RE5][RE8] a store that forgot gets back what the edge knows, of kinds that nobody here knows as well, and the room is told', async () => {
    const [ann, bob] = [await join('ann'), await join('bob')];
    const poll = { kind: 'poll', name: 'lunch', value: { options: ['a', { b: [1.5, null] }], open: true } };
    hear(await raise(ANN));
    hear(await raise(BOB));
    hear(await write(ANN, poll, { kind: 'hand', peerId: BOB }));
    const before = await stores.entries.all(ROOM);
    parts.memory.clear();
    await stores.recovery.republishPeers(ROOM, edge('own'), [ann.held], parts.localRooms.newestEventId(ROOM));
    await reconcile(true);
    // Bob's edge has not published him yet.
    expect(await stores.entries.all(ROOM)).toHaveLength(2);
    await stores.recovery.republishPeers(ROOM, edge('own'), [bob.held], parts.localRooms.newestEventId(ROOM));
    await reconcile(true);
    expect(await stores.entries.all(ROOM)).toEqual(expect.arrayContaining([...before]));
    await expectSame();
    const told = parts.channel.events.flatMap(({ event }) =>
      event.type === 'entries.changed' ? event.changes : [],
    );
    expect(told).toEqual(expect.arrayContaining([{ ...before[0] }, expect.objectContaining(poll)]));
    expect(await parts.metrics.registry.getSingleMetricAsString('plenary_edge_repairs_total')).toContain(
      'what="entries"',
    );
  });

  it('[RE18] what only the edge has of who is gone goes there as well, once the room is whole', async () => {
    const ann = await join('ann');
    await join('bob');
    hear(await raise(ANN));
    // The edge hears nothing of it.
    await stores.roomLog.removePeer(ROOM, ANN, ann.media.epoch, 'left');
    await reconcile();
    expect(projection().all()).toEqual([]);
    await expectSame();
  });

  it('[RE25] entries are published again some at a time, so that an event of them fits into a publication', async () => {
    await join('ann');
    const value = { text: 'x'.repeat(4_000) };
    const entries = Array.from({ length: 30 }, (_, index) => ({
      kind: 'note',
      name: `n-${index}`,
      version: index + 1,
      value,
    }));
    projection().note({ type: 'entries.changed', changes: entries });
    await reconcile();
    await expectSame();
    expect(await stores.entries.all(ROOM)).toHaveLength(30);
    const sizes = parts.channel.events.map((event) => JSON.stringify(event).length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(100_000);
  });
});
