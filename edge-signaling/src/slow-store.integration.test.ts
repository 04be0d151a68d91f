/** Real edges of which one has a store that answers late for a while: what happened meanwhile reaches everybody all the same. */
import { compareEventIds } from '@plenary/cluster/ids';
import type { EventId } from '@plenary/cluster/ids';
import { OddRelay } from '@plenary/cluster/testing/odd-relay';
import { startRedisServer } from '@plenary/cluster/testing/redis-server';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { testRoom } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import type { TestClient } from './testing/test-client.ts';
import { waitFor } from './testing/wait-for.ts';

const NEAR = 0;
const FAR = 1;

let cluster: TestCluster;
let relay: OddRelay;
beforeAll(async () => {
  const redis = await startRedisServer();
  relay = await OddRelay.to(redis.port);
  cluster = await TestCluster.startOn(redis, { edges: 1, mediaNodes: 1 });
  await cluster.addEdge('edge-far', { REDIS_URL: `redis://127.0.0.1:${relay.port}` });
});
afterEach(() => {
  relay.oddity = 'none';
  cluster.closeClients();
});
afterAll(async () => {
  await cluster.stop();
  relay.close();
});

/** Follows a room as docs/protocol.md has clients do ("Order and gaps"): what an event or a head shows to be missing it asks for. */
class Follower {
  readonly kinds: string[] = [];
  readonly #client: TestClient;
  #lastId: EventId;

  constructor(client: TestClient, lastId: EventId) {
    this.#client = client;
    this.#lastId = lastId;
  }

  /** @returns the kinds of all events since the beginning, in their order */
  async follow(): Promise<readonly string[]> {
    const events = this.#client.noticesOf('event').sort((left, right) => compareEventIds(left.id, right.id));
    for (const { id, previousId, event } of events)
      if (previousId === this.#lastId) this.#take(id, event.type);
    const told = [
      ...events.map(({ id }) => id),
      ...this.#client.noticesOf('head').map(({ lastEventId }) => lastEventId),
    ];
    if (!told.some((id) => compareEventIds(id, this.#lastId) > 0)) return this.kinds;
    const missed = await this.#client.call('sync', { afterEventId: this.#lastId });
    if (missed.type === 'events') for (const { id, event } of missed.events) this.#take(id, event.type);
    return this.kinds;
  }

  #take(id: EventId, kind: string): void {
    this.#lastId = id;
    this.kinds.push(kind);
  }
}

/** Later than an edge waits for a command: the store carries it out, and its events are published by nobody. */
const TOO_LATE = { later: 3_000 };

it.each([
  {
    what: 'chat.posted',
    act: async (far: TestClient) => far.refusal('chat.post', { requestId: 'late', text: 'late' }),
  },
  { what: 'peer.left', act: async (far: TestClient) => far.refusal('leave', {}) },
])(
  '[LG7] $what that was made as the store answered too late is known to everybody without another event',
  async ({ what, act }) => {
    const room = what.replace('.', '-');
    const [watcher, near, far, leaver] = [
      await cluster.client(FAR),
      await cluster.client(NEAR),
      await cluster.client(FAR),
      await cluster.client(FAR),
    ];
    // Scripts that the store does not know are sent when it has said so: each is run before.
    await leaver.join(room);
    await leaver.call('chat.post', { requestId: 'before', text: 'before' });
    await leaver.call('leave', {});
    await watcher.join(room);
    await near.join(room);
    const { room: begun } = await far.join(room);
    const followers = [near, watcher].map((client) => new Follower(client, begun.lastEventId));

    relay.oddity = TOO_LATE;
    const answered = act(far);
    await waitFor('the store to have it', async () => {
      const caught = await cluster.store.roomLog.eventsAfter(testRoom(room), begun.lastEventId);
      return caught?.some(({ event }) => event.type === what);
    });
    await answered;
    relay.oddity = 'none';
    for (const follower of followers)
      await waitFor('it to be known', async () => (await follower.follow()).join() === what);
    // Who repeats it, as clients do, hears that it is done.
    await waitFor('the edge to serve again', async () => (await act(far)) !== 'store_unavailable');
    for (const follower of followers) expect(await follower.follow()).toEqual([what]);
  },
);
