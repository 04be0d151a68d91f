import type { ClientReply } from '@plenary/cluster/protocol';
import { CLIENT_REQUESTS, PROTOCOL_VERSION } from '@plenary/cluster/protocol';
import { peer } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { costOfCatchUp } from '../../limits/cost.ts';
import { EntryGate } from '../../limits/entry-gate.ts';
import { LimitedLog } from '../../limits/limited-log.ts';
import { EdgeBudgets } from '../../limits/meter.ts';
import { Connection } from '../../session/connection.ts';
import { EdgeParts, RecordingSocket } from '../../testing/edge-parts.ts';
import { handleResume } from './entry.ts';

const TEXT = 'x'.repeat(4_000);

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
  it('[BU4] is paid for all that it is told', async () => {
    const parts = new EdgeParts();
    const { clock, localRooms, metrics } = parts;
    const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
    const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
    const socket = new RecordingSocket();
    const session = parts.hold(await parts.place(peer('ann'), 'm1'), socket);
    session.purse = budgets.newPurse();
    const before = session.purse.budget.levelOf('bytes');
    const catchUp = chatted(100);
    const resume = handleResume({
      isDraining: () => false,
      metrics,
      clock,
      localRooms,
      resumeGate: new EntryGate({ atOnce: 8, patienceMs: 8_000, clock, onWaiting: () => undefined }),
      entrance: {
        resume: () => {
          const note = CLIENT_REQUESTS.resume.reply.shape.session.parse({
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
          return Promise.resolve({ session, reply: { session: note, catchUp, mediaAlive: true } });
        },
      },
    });
    const connection = new Connection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
    const request = CLIENT_REQUESTS.resume.payload.parse({
      protocolVersion: PROTOCOL_VERSION,
      roomId: 'room',
      sessionToken: 't',
      proof: 'a'.repeat(86),
      lastEventId: '1-0',
    });
    await resume(request, connection);
    expect(before - session.purse.budget.levelOf('bytes')).toBe(costOfCatchUp(catchUp).bytes);
  });
});
