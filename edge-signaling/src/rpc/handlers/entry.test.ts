import { toPlenaryError } from '@plenary/cluster';
import { tenantOf } from '@plenary/cluster/ids';
import type { ClientReply } from '@plenary/cluster/protocol';
import { CLIENT_REQUESTS, MAX_CHAT_BYTES, PROTOCOL_VERSION } from '@plenary/cluster/protocol';
import { peer, SAMPLE_SESSION_KEY } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { costOfCatchUp, costOfJoining, REQUEST_COSTS } from '../../limits/cost.ts';
import { EntryGate } from '../../entry/gates/entry-gate.ts';
import { LimitedLog } from '../../limits/limited-log.ts';
import { demandAllowed, EdgeBudgets } from '../../limits/meter.ts';
import { ClientConnection } from '../../entry/client-connection.ts';
import type { Entering } from '../../entry/entered.ts';
import type { Session } from '../../entry/session.ts';
import { EdgeParts, RecordingSocket, ROOM } from '../../testing/edge-parts.ts';
import { charged } from '../table.ts';
import { handleJoin, handleResume } from './entry.ts';

const TEXT = 'x'.repeat(4_000);

const NOTE = CLIENT_REQUESTS.resume.reply.shape.session.parse({
  peerId: 'ann',
  roomId: 'room',
  displayName: 'Ann',
  role: 'speaker',
  sessionToken: 't',
  resumeWithinMs: 15_000,
  edgeId: 'own',
  edges: [],
  openToGuests: false,
});
const MEDIA = CLIENT_REQUESTS.join.reply.shape.media.parse({
  mediaNodeId: 'm1',
  datacenter: 'dc',
  epoch: 1,
  receiveTransport: {
    id: 't',
    iceParameters: { usernameFragment: 'abcd', password: 'p'.repeat(22), iceLite: true },
    iceCandidates: [
      {
        foundation: 'f',
        priority: 1,
        address: '192.0.2.7',
        ip: '192.0.2.7',
        protocol: 'udp',
        port: 1,
        type: 'host',
      },
    ],
    dtlsParameters: {
      role: 'auto',
      fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AA').join(':') }],
    },
  },
  consumers: [],
});
const JOIN = CLIENT_REQUESTS.join.payload.parse({
  protocolVersion: PROTOCOL_VERSION,
  requestId: 'join',
  roomId: 'room',
  token: 't',
  sessionKey: SAMPLE_SESSION_KEY,
  media: { rtpCapabilities: { codecs: [], headerExtensions: [] }, publish: false },
});
const RESUME = CLIENT_REQUESTS.resume.payload.parse({
  protocolVersion: PROTOCOL_VERSION,
  roomId: 'room',
  sessionToken: 't',
  proof: 'a'.repeat(86),
  lastEventId: '1-0',
});

function chatted(count: number): ClientReply<'sync'> {
  const events = Array.from({ length: count }, (_, index) => ({
    id: `${index + 2}-0`,
    previousId: `${index + 1}-0`,
    event: {
      type: 'chat.posted',
      message: { messageId: `${index}`, peerId: 'bob', displayName: 'Bob', text: TEXT, sentAtMs: 1 },
    },
  }));
  return CLIENT_REQUESTS.sync.reply.parse({ type: 'events', events });
}

describe('resume', () => {
  it('[BU31] is paid for all that it is told', async () => {
    const parts = new EdgeParts();
    const { clock, localRooms, metrics } = parts;
    const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
    const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
    const socket = new RecordingSocket();
    const session = parts.hold(await parts.place(peer('ann'), 'm1'), socket);
    session.budget = budgets.newSessionBudget();
    const before = session.budget.resources.levelOf('bytes');
    const catchUp = chatted(100);
    const resume = handleResume({
      isDraining: () => false,
      metrics,
      clock,
      localRooms,
      resumeGate: new EntryGate({ atOnce: 8, patienceMs: 8_000, clock, onWaiting: () => undefined }),
      entrance: {
        resume: () => Promise.resolve({ session, reply: { session: NOTE, catchUp, mediaAlive: true } }),
      },
    });
    const connection = new ClientConnection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
    await resume(RESUME, connection);
    expect(before - session.budget.resources.levelOf('bytes')).toBe(costOfCatchUp(catchUp).bytes);
  });
});

/** A room with as much chat as is kept, a full page of people, and so many tracks. */
const snapshot = (tracks: number): ClientReply<'join'>['room'] =>
  CLIENT_REQUESTS.join.reply.shape.room.parse({
    lastEventId: '1-0',
    peerCount: 1_000,
    peers: [],
    tracks: Array.from({ length: tracks }, () => ({
      trackId: 't',
      peerId: 'bob',
      kind: 'audio',
      source: 'microphone',
      homeNodeId: 'm1',
      paused: false,
    })),
    chat: Array.from({ length: 66 }, (_, index) => ({
      messageId: `${index}`,
      peerId: 'bob',
      displayName: 'Bob',
      text: 'x'.repeat(Math.floor(MAX_CHAT_BYTES / 66)),
      sentAtMs: 1,
    })),
  });

/** An edge whose store and media nodes answer at once, and whose budgets are those of an edge as shipped. */
function edgeOf(room: ClientReply<'join'>['room']) {
  const parts = new EdgeParts();
  const { clock, localRooms, metrics } = parts;
  const lines: unknown[] = [];
  const log = new LimitedLog({ metrics, logger: { warn: (line: unknown) => void lines.push(line) }, clock });
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  const gate = new EntryGate({ atOnce: 64, patienceMs: 8_000, clock, onWaiting: () => undefined });
  let entries = 0;
  const enter = async (charge: Entering['charge']): Promise<Session> => {
    charge({ roomId: ROOM, tenantId: tenantOf(ROOM) });
    // All that are under way have been charged before the first of them is in.
    await new Promise((resolve) => setImmediate(resolve));
    entries += 1;
    return parts.hold(await parts.place(`peer-${entries}`, 'm1'));
  };
  const services = { isDraining: () => false, metrics, clock, localRooms, joinGate: gate, resumeGate: gate };
  const join = handleJoin({
    ...services,
    entrance: {
      join: async (_request, _socket, _askedAtMs, { charge }) => ({
        session: await enter(charge),
        reply: { session: NOTE, room, media: MEDIA },
      }),
    },
  });
  const resume = handleResume({
    ...services,
    entrance: {
      resume: async (_request, _socket, { charge }) => ({
        session: await enter(charge),
        reply: { session: NOTE, catchUp: { type: 'snapshot', room }, mediaAlive: true },
      }),
    },
  });
  const connect = (address: string): ClientConnection =>
    new ClientConnection(
      Object.assign(new RecordingSocket(), { address }),
      { onSocketClosed: () => undefined },
      budgets,
      localRooms,
    );
  const ask = async (name: 'join' | 'resume', connection: ClientConnection): Promise<string> => {
    try {
      demandAllowed(connection.charge({ work: REQUEST_COSTS[name] }));
      if (name === 'join') await charged(name, join)(JOIN, connection);
      else await charged(name, resume)(RESUME, connection);
      return 'ok';
    } catch (fault) {
      return toPlenaryError(fault).code;
    }
  };
  const leave = (connection: ClientConnection): void => {
    localRooms.remove(connection.session);
    connection.apply({ type: 'left' });
  };
  return {
    clock,
    lines,
    connect,
    leave,
    ask,
    join: async (connection: ClientConnection) => ask('join', connection),
  };
}

describe('who comes in again and again', () => {
  const large = snapshot(7_000);

  it('[BU31] on one connection waits until what the answers carried is paid', async () => {
    const { clock, lines, connect, join, leave } = edgeOf(large);
    const connection = connect('192.0.2.1');
    let joins = 0;
    while (joins < 200 && (await join(connection)) === 'ok') {
      joins += 1;
      leave(connection);
      clock.advance(500);
    }
    expect(joins).toBeLessThan(40);
    expect(lines).toMatchObject([{ scope: 'session', resource: 'bytes' }]);
    clock.advance(5_000);
    expect(await join(connection)).toBe('ok');
  });

  it.each(['join', 'resume'] as const)(
    '[BU31] [BU15] by a %s on new connections is refused by the room, and nobody at another address is',
    async (name) => {
      const { clock, lines, connect, ask, leave } = edgeOf(large);
      const codes: string[] = [];
      for (let count = 0; count < 200; count += 1) {
        const connection = connect('192.0.2.1');
        codes.push(await ask(name, connection));
        if (connection.state.phase === 'joined') leave(connection);
        clock.advance(100);
      }
      expect(codes.indexOf('rate_limited')).toBeGreaterThan(20);
      expect(codes.filter((code) => code === 'ok').length).toBeLessThan(120);
      expect(lines).toContainEqual(expect.objectContaining({ scope: 'room', resource: 'bytes' }));
      expect(await ask(name, connect('198.51.100.1'))).toBe('ok');
    },
  );

  it('[BU31] [BU58] 500 of one address who resume and join anew after an edge died are all let in, by an edge that knows none of them', async () => {
    const room = snapshot(0);
    expect(costOfJoining({ session: NOTE, room, media: MEDIA }).bytes).toBeGreaterThan(275_000);
    const { clock, lines, connect, ask } = edgeOf(room);
    for (const name of ['resume', 'join'] as const) {
      const connections = Array.from({ length: 500 }, () => connect('192.0.2.1'));
      for (let from = 0; from < connections.length; from += 64) {
        const batch = connections.slice(from, from + 64);
        const codes = await Promise.all(batch.map(async (connection) => ask(name, connection)));
        expect(new Set(codes)).toEqual(new Set(['ok']));
        // 400 a second are taken up.
        clock.advance(2.5 * batch.length);
      }
    }
    expect(lines).toEqual([]);
  });
});
