/** One session that two edges take up at the same time, or that an edge goes on to hold that stood still. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { SHORT_LIVES, SHORT_MS, TestCluster } from './testing/test-cluster.ts';
import { joinRequest } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
afterEach(() => cluster.closeClients());

/** Who is in a room, as the store knows. */
const people = async (name: string): Promise<readonly string[]> =>
  (await cluster.ask(({ roomLog }) => roomLog.rosterPage(testRoom(name), ''))).peers.map(
    ({ peerId }) => peerId,
  );

const startWith = (edgeSettings: Readonly<Record<string, string>>): void => {
  beforeAll(async () => {
    cluster = await TestCluster.start({ edges: 3, mediaNodes: 2, edgeSettings });
  });
  afterAll(async () => {
    await cluster.stop();
  });
};

describe('edges that run', () => {
  startWith({});

  it('[SE5] of two edges that take one session up at once one has it, and nobody is there twice', async () => {
    for (let round = 0; round < 12; round += 1) {
      const name = `twice-${round}`;
      const watcher = await cluster.client(2);
      await watcher.join(name);
      const ann = await cluster.client(0);
      const { session, room } = await ann.join(name);
      const takers = [await cluster.client(0), await cluster.client(1), await cluster.client(2)];
      if (round % 2 === 0) ann.close();
      const requests = await Promise.all(
        takers.map(async (taker) => taker.resumeRequest(ann, session, room.lastEventId)),
      );
      const outcomes = await Promise.allSettled(
        takers.map(async (taker, index) => {
          const request = requests[index];
          return request === undefined ? undefined : taker.call('resume', request);
        }),
      );
      const won = takers.filter((_, index) => outcomes[index]?.status === 'fulfilled');
      expect(won.length).toBeGreaterThan(0);
      // The losers are told, and closed.
      await waitFor('one to be left', () => won.filter(({ isClosed }) => !isClosed).length === 1);
      const [holder] = won.filter(({ isClosed }) => !isClosed);
      expect(await people(name)).toHaveLength(2);
      await holder?.call('chat.post', { requestId: 'hello', text: 'hello' });
      await watcher.event((event) => event.type === 'chat.posted', 'a chat message');
      await holder?.call('leave', {});
      await waitFor('the person to be gone', async () => (await people(name)).length === 1);
      await watcher.event((event) => event.type === 'peer.left', 'that the person left');
      expect(watcher.noticesOf('event').filter(({ event }) => event.type === 'peer.left')).toHaveLength(1);
      await watcher.call('leave', {});
    }
  });

  it('[SE2] one join that many connections ask for at once makes one peer, and the edge serves on', async () => {
    for (let round = 0; round < 5; round += 1) {
      const name = `at-once-${round}`;
      const clients = await Promise.all(Array.from({ length: 12 }, async () => cluster.client(0)));
      const request = await joinRequest(name, { sessionKey: clients[0]?.key.jwk });
      // Those that another one takes the session from are closed, before they are answered or after.
      const answers = clients.map(async (client) => client.refusal('join', request).catch(() => 'closed'));
      await waitFor('one to be left', () => clients.filter(({ isClosed }) => !isClosed).length === 1);
      expect(await cluster.edge(0).status('/health')).toBe(200);
      expect(await people(name)).toHaveLength(1);
      for (const client of clients) client.close();
      await Promise.all(answers);
    }
  });
});

describe('an edge that stands still for longer than it may be away', () => {
  startWith(SHORT_LIVES);

  const stopFor = async (index: number, meanwhile: () => Promise<void>): Promise<void> => {
    const edge = cluster.edge(index);
    edge.kill('SIGSTOP');
    try {
      await meanwhile();
    } finally {
      edge.kill('SIGCONT');
    }
    await edge.ready();
  };

  const pause = async (ms: number): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, ms);
    });

  it('[SE5] [RC3] an edge that stood still brings back nobody who went on elsewhere', async () => {
    const watcher = await cluster.client(2);
    await watcher.join('frozen');
    const ann = await cluster.client(0);
    const { session, room } = await ann.join('frozen');
    const again: TestClient = await cluster.client(1);
    await stopFor(0, async () => {
      await again.resume(ann, session, room.lastEventId);
      await pause(SHORT_MS * 3);
    });
    await pause(SHORT_MS * 3);
    expect(again.isClosed).toBe(false);
    expect(await people('frozen')).toHaveLength(2);
    expect(watcher.noticesOf('event').filter(({ event }) => event.type === 'peer.left')).toEqual([]);
    await again.call('leave', {});
    await pause(SHORT_MS * 3);
    expect(await people('frozen')).toHaveLength(1);
  });

  it('[SE2] a join that stood still with its edge makes no second peer beside the one that was repeated elsewhere', async () => {
    const watcher = await cluster.client(2);
    await watcher.join('repeated');
    for (const waitMs of [0, 2, 5, 10, 20]) {
      const first = await cluster.client(0);
      const second = await cluster.client(1);
      const request = await joinRequest('repeated', { sessionKey: first.key.jwk });
      const late = first.refusal('join', request);
      await pause(waitMs);
      await stopFor(0, async () => {
        await second.call('join', request);
        await pause(SHORT_MS * 2);
      });
      // The edge took its own standstill for one of the store where a question to the store was under way.
      const answer = await late;
      expect(['ok', 'store_unavailable']).toContain(answer);
      const joined = answer === 'ok' ? [first, second] : [second];
      await waitFor('one connection to be left of those that joined', () => {
        return joined.filter(({ isClosed }) => !isClosed).length === 1;
      });
      expect(await people('repeated')).toHaveLength(2);
      const holder = joined.find(({ isClosed }) => !isClosed);
      expect(await holder?.refusal('leave', {})).toBe('ok');
      first.close();
      second.close();
      await waitFor('the person to be gone', async () => (await people('repeated')).length === 1);
    }
  });
});
