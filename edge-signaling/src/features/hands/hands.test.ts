import { MAX_RAISED_HANDS, ROLE } from '@plenary/cluster/protocol';
import type { Role } from '@plenary/cluster/protocol';
import { edge, peer } from '@plenary/cluster/testing/samples';
import { beforeEach, describe, expect, it } from 'vitest';
import { ClientConnection } from '../../entry/client-connection.ts';
import { LimitedLog } from '../../limits/limited-log.ts';
import { EdgeBudgets } from '../../limits/meter.ts';
import { EdgeParts, OWN_EDGE, RecordingSocket, ROOM } from '../../testing/edge-parts.ts';
import { handleHandLower, handleHandRaise } from './hands.ts';

describe('raised hands', () => {
  let parts: EdgeParts;
  beforeEach(() => {
    parts = new EdgeParts();
  });

  /** Somebody who has joined, with what the handlers need. */
  async function join(name: string, role: Role = 'speaker') {
    const { clock, metrics, localRooms, channel, stores } = parts;
    const socket = new RecordingSocket();
    const session = parts.hold(await parts.place(name, 'node'), socket, ROOM, role);
    const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
    const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
    const connection = new ClientConnection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
    connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
    connection.apply({ type: 'entered', session });
    connection.payFrom(session, {});
    const republished: string[] = [];
    const republisher = {
      room: async (roomId: typeof ROOM) => {
        republished.push(roomId);
        await parts.place(name, 'node');
      },
    };
    const services = { edgeId: OWN_EDGE, entries: stores.entries, republisher, channel };
    return {
      republished,
      raise: async () => handleHandRaise(services)({}, connection),
      lower: async (whose?: string) =>
        handleHandLower(services)(whose === undefined ? {} : { peerId: peer(whose) }, connection),
    };
  }
  const raised = async () =>
    ((await parts.roomLog.snapshot(ROOM))?.entries ?? [])
      .filter(({ kind }) => kind === 'hand')
      .sort((left, right) => left.version - right.version)
      .map(({ peerId }) => peerId);

  it('[RE9] are in the order in which they were raised; one that is up keeps its place, and nobody is told', async () => {
    const [ann, bob] = [await join('ann'), await join('bob')];
    await bob.raise();
    await ann.raise();
    const told = parts.channel.events.length;
    await bob.raise();
    expect(parts.channel.events).toHaveLength(told);
    expect(await raised()).toEqual(['bob', 'ann']);
    await bob.lower();
    await bob.raise();
    expect(await raised()).toEqual(['ann', 'bob']);
  });

  it.each(ROLE.options)(
    '[RE23] a %s raises and lowers a hand, and lowers that of others if it may',
    async (role) => {
      const [ann, who] = [await join('ann'), await join('who', role)];
      await who.raise();
      await ann.raise();
      await who.lower();
      expect(await raised()).toEqual(['ann']);
      if (role === 'host' || role === 'moderator') await who.lower('ann');
      else await expect(who.lower('ann')).rejects.toMatchObject({ code: 'forbidden' });
      expect(await raised()).toEqual(role === 'host' || role === 'moderator' ? [] : ['ann']);
      await ann.lower('ann');
    },
  );

  it('[RE23] a hand of who is gone is lowered without an error', async () => {
    const host = await join('host', 'host');
    await host.lower('nobody');
    expect(parts.channel.events).toEqual([]);
  });

  it('[RC1] who raises a hand after the store forgot everybody is not refused', async () => {
    const ann = await join('ann');
    parts.memory.clear();
    await ann.raise();
    expect(ann.republished).toEqual([ROOM]);
    expect(await raised()).toEqual(['ann']);
  });

  it('[RE12] who has gone on to another edge changes nothing here', async () => {
    const ann = await join('ann');
    const { epoch } = (await parts.placements.placementOf(ROOM, peer('ann'))) ?? {};
    if (epoch === undefined) throw new Error('nobody is placed');
    await parts.placements.attachPeer(ROOM, peer('ann'), epoch, edge('another'));
    await expect(ann.raise()).rejects.toMatchObject({ code: 'replaced' });
    expect(await raised()).toEqual([]);
  });

  it('[RE4] a room has so many of them', async () => {
    const people = await Promise.all(
      Array.from({ length: MAX_RAISED_HANDS }, (_, index) => join(`p-${index}`)),
    );
    for (const { raise } of people) await raise();
    const late = await join('late');
    await expect(late.raise()).rejects.toMatchObject({ code: 'limit_reached' });
    await people[0]?.lower();
    await late.raise();
  });
});
