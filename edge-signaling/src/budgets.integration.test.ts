/** What clients may cost an edge, and that one of them is not paid for by the others. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BUDGETS, SMALL_ROOM } from './limits/budget.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { testToken } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 2, mediaNodes: 1 });
});
afterEach(() => cluster.closeClients());
afterAll(async () => cluster.stop());

/** Makes so many, one after the other: an edge that is behind refuses connections that come all at once (SPEC HE7). */
async function oneByOne<Made>(count: number, make: (index: number) => Promise<Made>): Promise<Made[]> {
  const made: Made[] = [];
  for (let index = 0; index < count; index += 1) made.push(await make(index));
  return made;
}

/** What came into a budget since then may be spent, too, however long a busy machine takes. */
const cameInSince = (sinceMs: number, refillPerSecond: number): number =>
  (refillPerSecond * (performance.now() - sinceMs)) / 1_000;

describe('what a session may spend', () => {
  /** Asks at once for more than a budget and its patience hold. @returns how many requests were answered with `ok` */
  const spendAll = async (client: TestClient): Promise<number> => {
    const answers = Array.from({ length: 400 }, async () =>
      client.refusal('edge.check', {}).catch(() => 'cut'),
    );
    const codes = await Promise.all(answers);
    expect(codes.some((code) => code !== 'ok')).toBe(true);
    return codes.filter((code) => code === 'ok').length;
  };

  it.each([0, 1])(
    '[BU35] [BU36] goes along to the next connection, on edge %i as well',
    async (edgeIndex) => {
      const ann = await cluster.client(0);
      const { session, room } = await ann.join(`spender-${edgeIndex}`);
      const again = await cluster.client(edgeIndex);
      const before = await spendAll(ann);
      const spentAtMs = performance.now();
      await again.resume(ann, session, room.lastEventId);
      const { capacity: fullBudget, refillPerSecond } = BUDGETS.session.work;
      expect(before).toBeGreaterThan(fullBudget / 2);
      const after = await spendAll(again);
      expect(after).toBeLessThan(fullBudget / 2 + cameInSince(spentAtMs, refillPerSecond));
    },
  );
});

describe('what a person may spend', () => {
  it.each(['leaves', 'is dropped'])('[BU66] is not whole again for who %s and joins anew', async (how) => {
    const room = `anew-${how.length}`;
    const token = await testToken(room, { sub: `ann-${how.length}` });
    const ann = await cluster.client(0);
    await ann.join(room, { token });
    const asked = how === 'leaves' ? 110 : 400;
    const ask = async (client: TestClient, times: number): Promise<number> => {
      const answers = Array.from({ length: times }, async () =>
        client.refusal('edge.check', {}).catch(() => 'cut'),
      );
      return (await Promise.all(answers)).filter((code) => code === 'ok').length;
    };
    const again = await cluster.client(0);
    expect(await ask(ann, asked)).toBeGreaterThan(100);
    const spentAtMs = performance.now();
    if (how === 'leaves') await ann.call('leave', {});
    await again.join(room, { token });
    const { capacity, refillPerSecond } = BUDGETS.session.work;
    expect(await ask(again, 150)).toBeLessThan(capacity * 0.7 + cameInSince(spentAtMs, refillPerSecond));
  });
});

describe('what a session may send', () => {
  /** Sends most of what may come in at once. @returns whether the connection was kept */
  const send = async (client: TestClient): Promise<boolean> => {
    const padding = 'x'.repeat(32_000);
    const answers = Array.from({ length: 30 }, async () =>
      client.refusal('edge.check', { padding }).catch(() => 'cut'),
    );
    return !(await Promise.all(answers)).includes('cut');
  };

  it('[BU61] counts on its next connection as well', async () => {
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('talker');
    const again = await cluster.client(0);
    expect(await send(ann)).toBe(true);
    const sentAtMs = performance.now();
    await again.resume(ann, session, room.lastEventId);
    const isKept = await send(again);
    // In seven seconds as much may come in again: a machine that stands still for so long shows nothing.
    expect(isKept && performance.now() - sentAtMs < 6_000).toBe(false);
  });
});

describe('what a room pays for', () => {
  it('[BU15] is resumes too, also of a session that is gone', async () => {
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('come-back');
    await ann.call('leave', {});
    const RESUMES = 220;
    const clients = await oneByOne(RESUMES, () => cluster.client(0));
    const requests = await Promise.all(
      clients.map(async (again) => again.resumeRequest(ann, session, room.lastEventId)),
    );
    const beganMs = performance.now();
    const codes = await Promise.all(
      clients.map(async (again, index) => again.refusal('resume', requests[index])),
    );
    // A small room has 3,000 for work, what comes in meanwhile, and a resume takes 20.
    const { capacity, refillPerSecond } = BUDGETS.room.work;
    const mayTake = SMALL_ROOM * (capacity + cameInSince(beganMs, refillPerSecond));
    const refused = codes.filter((code) => code === 'rate_limited').length;
    expect(refused).toBeGreaterThanOrEqual(Math.floor(RESUMES - mayTake / 20));
  });
});

describe('the gates of an edge', () => {
  /** @returns how many of eighty that wait were answered before somebody who need not */
  const answeredBefore = async (round: number): Promise<number> => {
    const gone = await oneByOne(80, async (index) => {
      const client = await cluster.client(0);
      const { session, room } = await client.join(`gone-${round}-${index}`);
      await client.call('leave', {});
      return { client, session, room };
    });
    const ann = await cluster.client(0);
    const { session, room } = await ann.join(`here-${round}`);
    const annAgain = await cluster.client(0);
    const again = await oneByOne(80, () => cluster.client(0));
    const waiting = await Promise.all(
      gone.map(async ({ client, session: old, room: { lastEventId } }, index) => {
        const next = again[index] ?? client;
        return { again: next, request: await next.resumeRequest(client, old, lastEventId) };
      }),
    );
    let answered = 0;
    const refused = waiting.map(async ({ again: client, request }) => {
      const code = await client.refusal('resume', request);
      answered += 1;
      return code;
    });
    const resumed = await annAgain.resume(ann, session, room.lastEventId);
    const answeredSooner = answered;
    expect(resumed.session.peerId).toBe(session.peerId);
    expect(new Set(await Promise.all(refused))).toEqual(new Set(['session_gone']));
    cluster.closeClients();
    return answeredSooner;
  };

  it('[BU2] resumes of sessions that are gone, which wait for a room to be published again, delay nobody', async () => {
    let round = 0;
    // They wait for three seconds. A machine that stands still for so long shows nothing: it is tried again.
    await waitFor('somebody who is not delayed', async () => (await answeredBefore((round += 1))) === 0);
  });
});
