import {
  EPOCH,
  KeyRing,
  PlenaryError,
  signSessionToken,
  TokenBucket,
  verifySessionToken,
} from '@plenary/cluster';
import type { SessionClaims } from '@plenary/cluster';
import { mediaNode, peer, request, room, roomName, tenant } from '@plenary/cluster/testing/samples';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Budget, BUDGETS } from '../limits/budget.ts';
import { FRAME_BUDGETS } from '../limits/frame-budgets.ts';
import type { Cost } from '../limits/cost.ts';
import type { SessionBudget } from '../limits/meter.ts';
import { EdgeParts, OWN_EDGE } from '../testing/edge-parts.ts';
import type { ClientSocket } from '../transport/client-socket.ts';
import { SessionKeeper } from './session-keeper.ts';
import { Session } from './session.ts';

const KEYS = KeyRing.derive(['a-secret-of-more-than-thirty-two-characters'], 'session-token');
const MINUTE_MS = 60_000;

beforeEach(() =>
  vi.useFakeTimers({ toFake: ['setInterval', 'setTimeout', 'clearInterval', 'clearTimeout'] }),
);
afterEach(() => vi.useRealTimers());

const holdOf = (name: string) => ({ peerId: peer(name), holdEpoch: EPOCH.parse(1_900_000_000_000_000) });

/** A socket that keeps what it is told. */
class ToldSocket implements ClientSocket {
  readonly id = 'connection';
  readonly address = '192.0.2.1';
  readonly told: unknown[] = [];

  isOpen(): boolean {
    return true;
  }
  notify(name: string, payload: unknown): void {
    this.told.push({ name, payload });
  }
  enterRoom(): void {}
  leaveRoom(): void {}
  bye(): void {}
  noteJoined(): void {}
  noteLeft(): void {}
  payFramesFrom(): void {}
}

async function keeperWithAnn(signToken: (claims: SessionClaims) => Promise<string>) {
  const parts = new EdgeParts();
  const { clock, placements, localRooms, metrics, channel, faults, tenantClaims, reportFault } = parts;
  const keeper = new SessionKeeper({
    isEnded: () => false,
    edgeId: OWN_EDGE,
    signToken,
    resumeWithinMs: 15_000,
    placements,
    localRooms,
    departures: parts.departures(),
    tenantClaims,
    channel,
    remainingBudgets: { note: () => undefined },
    clock,
    metrics,
    reportFault,
  });
  const { jwk } = await TestSessionKey.create();
  const sessionOf = (name: string, holdEpoch = 1): Session =>
    new Session(
      { peerId: peer(name), roomId: room('standup'), displayName: 'Ann' },
      { sub: 'ann', tenant: tenant('acme'), room: roomName('standup'), role: 'speaker', publish: ['camera'] },
      { key: jwk, generation: 1 },
      { requestId: request('join'), sequence: 1, joinedAtMs: 0, role: 'speaker' },
      {
        mediaNodeId: mediaNode('node-a'),
        epoch: EPOCH.parse(1),
        incarnation: undefined,
        holdEpoch: EPOCH.parse(holdEpoch),
      },
    );
  const session = sessionOf('ann');
  const socket = new ToldSocket();
  keeper.take(session, socket, 1);
  keeper.start();
  const pass = async (byMs: number): Promise<void> => {
    clock.advance(byMs);
    await vi.advanceTimersByTimeAsync(byMs);
  };
  /** A budget from which so much was taken. */
  const budgetWithout = (spent: Cost): SessionBudget => {
    const budget = new Budget(BUDGETS.session, clock);
    budget.spendAll(spent);
    const frames = new Budget(FRAME_BUDGETS.session, clock);
    return {
      resources: budget,
      frames,
      patience: new TokenBucket({ capacity: 1, refillPerSecond: 1 }, clock),
    };
  };
  return {
    keeper,
    session,
    sessionOf,
    budgetWithout,
    socket,
    pass,
    faults,
    jwk,
    toldEdges: channel.told,
    metrics,
    localRooms,
  };
}

describe('SessionKeeper', () => {
  it('[SK4] gives a newer token, of a higher generation and the same key, every five minutes', async () => {
    const signed: SessionClaims[] = [];
    const { keeper, socket, pass, jwk } = await keeperWithAnn(async (claims) => {
      signed.push(claims);
      return Promise.resolve(`token-${claims.generation}`);
    });
    await pass(5 * MINUTE_MS - 1_000);
    expect(socket.told).toEqual([]);
    await pass(11_000);
    expect(socket.told).toEqual([{ name: 'session.renewed', payload: { sessionToken: 'token-2' } }]);
    await pass(5 * MINUTE_MS - 11_000);
    expect(socket.told).toHaveLength(1);
    await pass(21_000);
    expect(socket.told).toHaveLength(2);
    expect(signed.map(({ generation }) => generation)).toEqual([2, 3]);
    expect(signed[0]).toMatchObject({ peer: 'ann', room: 'standup', name: 'Ann', cnf: { jwk } });
    keeper.stop();
    await pass(20 * MINUTE_MS);
    expect(socket.told).toHaveLength(2);
  });

  it('[SK4] renews nothing while the connection is broken, and what it renews is a session token', async () => {
    const { keeper, session, socket, jwk } = await keeperWithAnn(async (claims) =>
      signSessionToken(KEYS, claims),
    );
    expect(await verifySessionToken(KEYS, await keeper.tokenOf(session))).toMatchObject({
      peer: 'ann',
      generation: 1,
      cnf: { jwk },
    });
    keeper.onSocketClosed(session, socket);
    session.renewAtMs = 0;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(socket.told).toEqual([]);
    keeper.stop();
  });

  it('[SK4] goes on renewing when one could not be signed', async () => {
    let fails = true;
    const { keeper, socket, pass, faults } = await keeperWithAnn(async () => {
      if (fails) throw new PlenaryError('internal');
      return Promise.resolve('token');
    });
    await pass(5 * MINUTE_MS + 10_000);
    expect(faults).toHaveLength(1);
    fails = false;
    await pass(5 * MINUTE_MS + 10_000);
    expect(socket.told).toHaveLength(1);
    keeper.stop();
  });

  it('[HE3] tells the other edges of sessions taken up together, within a moment, and of the last ones at its stop', async () => {
    const { keeper, pass, toldEdges } = await keeperWithAnn(async () => Promise.resolve('token'));
    for (let index = 0; index < 1_200; index += 1) keeper.announce(holdOf(`peer-${index}`));
    await pass(20);
    const told = toldEdges.map((message) => (message.type === 'sessions.attached' ? message.sessions : []));
    expect(told.map(({ length }) => length)).toEqual([1_000, 200]);
    expect(told.flat()[1_199]).toEqual(holdOf('peer-1199'));
    keeper.announce(holdOf('last'));
    keeper.stop();
    expect(toldEdges.at(-1)).toMatchObject({ type: 'sessions.attached', sessions: [holdOf('last')] });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[BU16] tells the other edges what a session had left that one of them took up, where that is little', async () => {
    const { keeper, session, sessionOf, toldEdges, budgetWithout, pass } = await keeperWithAnn(async () =>
      Promise.resolve('token'),
    );
    session.budget = budgetWithout({ work: 120 });
    const bob = sessionOf('bob');
    bob.budget = budgetWithout({ work: 20 });
    keeper.take(bob, new ToldSocket(), 1);
    for (const peerId of [session.peerId, bob.peerId]) keeper.attachedElsewhere(peerId);
    await pass(20);
    expect(toldEdges).toMatchObject([
      { type: 'purses.left', purses: [{ peerId: session.peerId, heldUnder: 1, left: { work: 30 } }] },
    ]);
    keeper.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[BU30] knows how many people the whole room has, from the first session that comes to this edge', async () => {
    const { keeper, session, sessionOf, localRooms } = await keeperWithAnn(async () =>
      Promise.resolve('token'),
    );
    keeper.take(sessionOf('bob'), new ToldSocket(), 300);
    expect(localRooms.peopleIn(session.roomId)).toBe(300);
    keeper.stop();
  });

  it('[NS6] a hold that is told of again ends no session that was taken up since', async () => {
    const { keeper, session, socket } = await keeperWithAnn(async () => Promise.resolve('token'));
    const { peerId } = session;
    const holdSince = (epoch: number) => ({ peerId, holdEpoch: EPOCH.parse(epoch) });
    // Held anew by this edge while its client is elsewhere: that takes nothing up from the client.
    session.noteHold(EPOCH.parse(1), EPOCH.parse(9));
    keeper.heardOfHold(holdSince(1));
    expect(session.socket).toBe(socket);
    keeper.heardOfHold(holdSince(2));
    expect(session.socket).toBeUndefined();
    keeper.stop();
  });

  it('[NS12] [BU16] what a session had left elsewhere counts once, and only of the edge that it came from', async () => {
    const { keeper, sessionOf, budgetWithout } = await keeperWithAnn(async () => Promise.resolve('token'));
    const bob = sessionOf('bob', 5);
    bob.budget = budgetWithout({ work: 20 });
    keeper.take(bob, new ToldSocket(), 1);
    const full = bob.budget.resources.levels;
    const hear = (heldUnder: number, work: number): number => {
      keeper.heardOfBudget({
        peerId: bob.peerId,
        heldUnder: EPOCH.parse(heldUnder),
        left: { ...full, work },
      });
      return bob.budget?.resources.levels.work ?? 0;
    };
    // Nothing is owed to who joined here.
    expect(hear(3, 1)).toBe(full.work);
    bob.budgetReportDueSince = EPOCH.parse(3);
    expect(hear(2, 1)).toBe(full.work);
    expect(hear(5, 1)).toBe(full.work);
    expect(hear(4, 30)).toBe(30);
    expect(hear(4, 1)).toBe(30);
    keeper.stop();
  });

  it('[SE29] lets go of a session that another edge tells of, and counts it no more', async () => {
    const { keeper, session, sessionOf, metrics } = await keeperWithAnn(async () => Promise.resolve('token'));
    const bob = sessionOf('bob');
    keeper.take(bob, new ToldSocket(), 1);
    const carol = new ToldSocket();
    keeper.take(sessionOf('carol'), carol, 1);
    for (const peerId of [session.peerId, bob.peerId, peer('unknown')]) keeper.attachedElsewhere(peerId);
    expect([session.socket, bob.socket]).toEqual([undefined, undefined]);
    const { values } = await metrics.sessions.get();
    expect(values.map(({ labels, value }) => [labels.state, value])).toEqual([
      ['open', 1],
      ['waiting', 0],
    ]);
    keeper.stop();
  });

  it('[SE4] counts the sessions whose client may yet come back', async () => {
    const { keeper, session, socket, sessionOf, metrics } = await keeperWithAnn(async () =>
      Promise.resolve('token'),
    );
    const counts = async (): Promise<number[]> =>
      (await metrics.sessions.get()).values.map(({ value }) => value);
    keeper.take(sessionOf('bob'), new ToldSocket(), 1);
    keeper.onSocketClosed(session, socket);
    expect(await counts()).toEqual([1, 1]);
    keeper.take(sessionOf('ann'), new ToldSocket(), 1);
    expect(await counts()).toEqual([2, 0]);
    keeper.stop();
  });
});
