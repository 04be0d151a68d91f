/** What clients may cost an edge, and that one of them is not paid for by the others. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BUDGETS } from './limits/budget.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { testToken } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';

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

describe('what a session may spend', () => {
  /** Asks at once for more than a purse and its patience hold. @returns how many requests were answered with `ok` */
  const spendAll = async (client: TestClient): Promise<number> => {
    const answers = Array.from({ length: 400 }, async () =>
      client.refusal('edge.check', {}).catch(() => 'cut'),
    );
    const codes = await Promise.all(answers);
    expect(codes.some((code) => code !== 'ok')).toBe(true);
    return codes.filter((code) => code === 'ok').length;
  };

  it.each([0, 1])('[BU5] goes along to the next connection, on edge %i as well', async (edgeIndex) => {
    const ann = await cluster.client(0);
    const { session, room } = await ann.join(`spender-${edgeIndex}`);
    const before = await spendAll(ann);
    const again = await cluster.client(edgeIndex);
    await again.resume(ann, session, room.lastEventId);
    const fullPurse = BUDGETS.session.work.capacity;
    expect(before).toBeGreaterThan(fullPurse / 2);
    expect(await spendAll(again)).toBeLessThan(fullPurse / 2);
  });
});

describe('what a person may spend', () => {
  it.each(['leaves', 'is dropped'])('[BU18] is not whole again for who %s and joins anew', async (how) => {
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
    expect(await ask(ann, asked)).toBeGreaterThan(100);
    if (how === 'leaves') await ann.call('leave', {});
    const again = await cluster.client(0);
    await again.join(room, { token });
    expect(await ask(again, 150)).toBeLessThan(BUDGETS.session.work.capacity * 0.7);
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

  it('[BU17] counts on its next connection as well', async () => {
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('talker');
    expect(await send(ann)).toBe(true);
    const again = await cluster.client(0);
    await again.resume(ann, session, room.lastEventId);
    expect(await send(again)).toBe(false);
  });
});

describe('what a room pays for', () => {
  it('[BU15] is resumes too, also of a session that is gone', async () => {
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('come-back');
    await ann.call('leave', {});
    const clients = await oneByOne(220, () => cluster.client(0));
    const codes = await Promise.all(
      clients.map(async (again) =>
        again.refusal('resume', await again.resumeRequest(ann, session, room.lastEventId)),
      ),
    );
    // A small room has 3,000 for work, and a resume takes 20.
    expect(codes.filter((code) => code === 'rate_limited').length).toBeGreaterThan(10);
  });
});

describe('the gates of an edge', () => {
  it('[BU2] resumes of sessions that are gone, which wait for a room to be published again, delay nobody', async () => {
    const gone = await oneByOne(80, async (index) => {
      const client = await cluster.client(0);
      const { session, room } = await client.join(`gone-${index}`);
      await client.call('leave', {});
      return { client, session, room };
    });
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('here');
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
    expect(resumed.session.peerId).toBe(session.peerId);
    expect(answered).toBe(0);
    expect(new Set(await Promise.all(refused))).toEqual(new Set(['session_gone']));
  });
});
