import { edge, peer, room } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { MAX_SESSIONS_NAMED } from './client-socket.ts';
import { edgesChannelOf, readPublication, roomChannelOf, socketRoomOf } from './publication.ts';

const PREFIX = 'plenary:socket.io';
const ROOM = socketRoomOf(room('standup'));
const read = (channel: string, publication: unknown): unknown =>
  JSON.parse(
    readPublication(PREFIX, Buffer.from(channel), Buffer.from(JSON.stringify(publication))).body.toString(),
  );

const newsOf = (publication: unknown) =>
  readPublication(PREFIX, Buffer.from(roomChannelOf(PREFIX, ROOM)), Buffer.from(JSON.stringify(publication)))
    .roomEvent;
const logged = (event: unknown) => ({ id: '2-0', previousId: '1-0', event });

const speakers = { mediaNodeId: 'n', speakers: [{ peerId: 'p', volumeDbov: -20 }] };
const toRoom = {
  uid: '0123456789abcdef',
  nsp: '/',
  type: 3,
  data: {
    packet: { type: 2, data: ['speakers', speakers], nsp: '/' },
    opts: { rooms: [ROOM], except: [], flags: { volatile: true } },
  },
};
const toEdges = (message: unknown): unknown => ({
  uid: '0123456789abcdef',
  nsp: '/',
  type: 9,
  data: { packet: ['edge.message', message] },
});

describe('publications', () => {
  it('[NS4] are handed on as an edge makes them', () => {
    expect(read(roomChannelOf(PREFIX, ROOM), toRoom)).toEqual(toRoom);
    const sessions = Array.from({ length: MAX_SESSIONS_NAMED }, (_, index) => ({
      peerId: peer(`${index}`.padStart(32, 'p')),
      holdEpoch: 1_900_000_000_000_000,
    }));
    const attached = toEdges({ type: 'sessions.attached', sessions, edgeId: edge('e'.repeat(64)) });
    expect(read(edgesChannelOf(PREFIX), attached)).toEqual(attached);
  });

  it('[PR18] of an event of a later release are handed on as they came, and are no news here', () => {
    const event = {
      type: 'poll.opened',
      options: [{ text: 'yes', weight: 0.5 }, null],
      by: { peerId: 'ann' },
    };
    const publication = {
      ...toRoom,
      data: { ...toRoom.data, packet: { type: 2, data: ['event', logged(event)] } },
    };
    expect(read(roomChannelOf(PREFIX, ROOM), publication)).toEqual(publication);
    expect(newsOf(publication)?.event).toMatchObject({ type: 'unknown', name: 'poll.opened' });
  });

  it('[PR19] [NS4] bring nobody an event of a known type in another shape', () => {
    for (const event of [
      { type: 'peer.joined', peer: { peerId: 'mallory' } },
      { type: 'entries.changed', changes: [{ kind: 'hand', peerId: 'ann', version: 'high', value: {} }] },
      { type: 'track.ended', trackId: 't', peerId: 'ann', reason: 'so' },
      { type: 7 },
      { type: 'poll.opened', text: 'x'.repeat(70_000) },
    ]) {
      const packet = { type: 2, data: ['event', logged(event)] };
      expect(() =>
        read(roomChannelOf(PREFIX, ROOM), { ...toRoom, data: { ...toRoom.data, packet } }),
      ).toThrow();
    }
  });

  it('[RE6] of what happened in a room are news of that room', () => {
    const changes = [{ kind: 'hand', peerId: 'ann', version: 7, value: { later: ['x'] } }];
    const event = { type: 'entries.changed', changes };
    const packet = { type: 2, data: ['event', logged(event)] };
    const news = newsOf({ ...toRoom, data: { ...toRoom.data, packet } });
    expect(news).toEqual({ roomId: room('standup'), event });
    expect(newsOf(toRoom)).toBeUndefined();
  });

  it('[NS4] are none on the channel of another room, tenant, namespace or database', () => {
    for (const channel of [
      edgesChannelOf(PREFIX),
      roomChannelOf(PREFIX, socketRoomOf(room('other'))),
      roomChannelOf(PREFIX, socketRoomOf(room('standup', 'other'))),
      roomChannelOf('staging:socket.io', ROOM),
      roomChannelOf('plenary:db1:socket.io', ROOM),
    ]) {
      expect(() => read(channel, toRoom), channel).toThrow();
    }
  });

  it('[NS9] hold nothing that their schema does not know, and are not long', () => {
    const packet = { ...toRoom.data.packet, data: ['speakers', { ...speakers, more: 'x' }] };
    expect(read(roomChannelOf(PREFIX, ROOM), { ...toRoom, data: { ...toRoom.data, packet } })).toEqual(
      toRoom,
    );
    const padded = {
      ...toRoom,
      data: {
        ...toRoom.data,
        packet: { ...packet, data: ['speakers', { ...speakers, more: 'x'.repeat(131_072) }] },
      },
    };
    expect(() => read(roomChannelOf(PREFIX, ROOM), padded)).toThrow('larger than the limit');
  });

  it('[NS4] are no other kind of message of the adapter', () => {
    for (let type = 0; type < 14; type += 1) {
      if (type !== 3) expect(() => read(roomChannelOf(PREFIX, ROOM), { ...toRoom, type })).toThrow();
      if (type !== 9) expect(() => read(edgesChannelOf(PREFIX), { ...toRoom, type })).toThrow();
    }
  });
});
