/** A meeting of two hundred on two edges whose store is 30 ms away. */
import { startDistantRedis } from '@plenary/cluster/testing/distant-redis';
import { afterEach, expect, it } from 'vitest';
import type { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const PEOPLE = 200;

let cluster: TestCluster;
afterEach(async () => cluster.stop());

it('[HL9] two hundred people join, hear each other, and go on after the store lost all it had', async () => {
  cluster = await TestCluster.startOn(await startDistantRedis(), {
    edges: 2,
    mediaNodes: 2,
    edgeSettings: { PLENARY_SOCKETS_PER_ADDRESS: '1000' },
  });
  const people: TestClient[] = [];
  const joining = async (index: number): Promise<void> => {
    const client = await cluster.client(index % 2);
    people.push(client);
    await client.join('far', { displayName: `Person ${index}` });
  };
  for (let begun = 0; begun < PEOPLE; begun += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, index) => joining(begun + index)));
  }
  const [first] = people;
  if (first === undefined) throw new Error('somebody is there');
  const posted = async (requestId: string): Promise<void> => {
    await first.call('chat.post', { requestId, text: requestId });
    await Promise.all(
      people.map(async (person) =>
        person.event((event) => event.type === 'chat.posted' && event.message.text === requestId, requestId),
      ),
    );
  };
  await posted('before');
  await cluster.redis.flush();
  await waitFor('the room to be whole again', async () => (await cluster.standing('far')) === 'whole');
  const late = await cluster.client(1);
  const { room } = await late.join('far');
  expect(room.peerCount).toBe(PEOPLE + 1);
  await posted('after');
  expect(people.filter(({ isClosed }) => isClosed)).toEqual([]);
  expect(cluster.edges.map(({ output }) => output.includes('the store is away'))).toEqual([false, false]);
});
