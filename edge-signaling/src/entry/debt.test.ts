import { ManualClock } from '@plenary/cluster';
import { peer, SAMPLE_SESSION_KEY } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { BUDGETS } from '../limits/budget.ts';
import { REQUEST_COSTS } from '../limits/cost.ts';
import { LimitedLog } from '../limits/limited-log.ts';
import { EdgeBudgets } from '../limits/meter.ts';
import { createEdgeMetrics } from '../metrics.ts';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { ClientConnection } from './client-connection.ts';
import { owesForComingBack } from './debt.ts';

const KEY = SAMPLE_SESSION_KEY;

async function held() {
  const clock = new ManualClock();
  const log = new LimitedLog({ metrics: createEdgeMetrics(), logger: { warn: () => undefined }, clock });
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  const parts = new EdgeParts();
  const session = parts.hold(await parts.place(peer('ann'), 'm1'));
  session.budget = budgets.newSessionBudget();
  /** As a connection does that took the session up. */
  const comeBack = (): void => {
    const socket = new RecordingSocket();
    const connection = new ClientConnection(
      socket,
      { onSocketClosed: () => undefined },
      budgets,
      parts.localRooms,
    );
    connection.payFrom(session, { work: REQUEST_COSTS.resume });
  };
  return { clock, session, comeBack };
}

describe('a session that is taken up again and again', () => {
  it('[BU59] owes for it, and is taken up again when it has paid', async () => {
    const { clock, session, comeBack } = await held();
    let times = 0;
    while (times < 20 && !owesForComingBack(session, KEY)) {
      comeBack();
      times += 1;
    }
    // A full budget of 150 pays for seven and a half.
    expect(times).toBe(8);
    clock.advance(100);
    expect(owesForComingBack(session, KEY)).toBe(true);
    clock.advance(200);
    expect(owesForComingBack(session, KEY)).toBe(false);
  });

  it('[BU31][BU59] owes for what was told to it when it came back', async () => {
    const { clock, session, comeBack } = await held();
    comeBack();
    const { capacity, refillPerSecond } = BUDGETS.session.bytes;
    session.budget?.resources.spendAll({ bytes: capacity + refillPerSecond });
    expect(owesForComingBack(session, KEY)).toBe(true);
    clock.advance(2_000);
    expect(owesForComingBack(session, KEY)).toBe(false);
  });

  it('[BU60] tells nothing of what it owes to somebody with another key', async () => {
    const { session, comeBack } = await held();
    for (let times = 0; times < 20; times += 1) comeBack();
    expect(owesForComingBack(session, KEY)).toBe(true);
    expect(owesForComingBack(session, { x: 'another' })).toBe(false);
  });

  it('[BU59] owes nothing where it is not held', () => {
    expect(owesForComingBack(undefined, KEY)).toBe(false);
  });
});
