import { MAX_CHAT_TEXT_LENGTH, SNAPSHOT_CHAT_LENGTH } from '@plenary/cluster/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { StallingRelay } from './testing/stalling-relay.ts';
import { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

/** Three bytes each in UTF-8: the largest message that a person can post. */
const LARGE_TEXT = '€'.repeat(MAX_CHAT_TEXT_LENGTH - 10);
/**
 * How often the client requests the room, in milliseconds: seldom enough not to be refused. Each answer is a snapshot with a quarter of
 * a megabyte of chat, and the kernels on the path take up to ten megabytes.
 */
const REQUEST_EVERY_MS = 300;

let cluster: TestCluster;
afterEach(async () => cluster.stop());

const SERVERS: readonly { readonly server: string; readonly settings: Record<string, string> }[] = [
  { server: 'uws', settings: {} },
  { server: 'node', settings: { NODE_OPTIONS: '--no-addons' } },
];

describe.each(SERVERS)('a client that does not read, on $server', ({ server, settings }) => {
  it('[RL7] is cut off at the bound, harms nobody, and misses nothing when it resumes', async () => {
    cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
    const edge = await cluster.addEdge('edge-1', { ...settings, PLENARY_RESUME_WITHIN_MS: '60000' });
    expect(await edge.metric('plenary_edge_server', `server="${server}"`)).toBe(1);
    const relay = await StallingRelay.to(edge.url);
    const slow = await TestClient.connect(relay.url);
    const { session, room } = await slow.join('slow', { displayName: 'Slow' });
    const others = await Promise.all(Array.from({ length: 4 }, async () => cluster.client()));
    for (const other of others) await other.join('slow');

    relay.stall();
    const each = SNAPSHOT_CHAT_LENGTH / others.length;
    const texts: string[] = [];
    for (const [person, other] of others.entries()) {
      for (let index = 0; index < each; index += 1) {
        const text = `${person}-${index} ${LARGE_TEXT}`;
        texts.push(text);
        await other.call('chat.post', { requestId: `c${person}-${index}`, text });
      }
    }
    let requestedAtMs = Number.NEGATIVE_INFINITY;
    await waitFor('the slow client to be cut off', async () => {
      if (performance.now() - requestedAtMs >= REQUEST_EVERY_MS) {
        requestedAtMs = performance.now();
        slow.socket.emit('sync', { afterEventId: '1-1' }, () => {});
      }
      return (await edge.metric('plenary_edge_slow_sockets_total')) === 1;
    });
    await waitFor(
      'its session to wait for it',
      async () => (await edge.metric('plenary_edge_sessions', 'state="waiting"')) === 1,
    );
    relay.close();
    slow.close();

    for (const other of others) expect(other.isClosed).toBe(false);
    const again = await cluster.client();
    const { catchUp } = await again.resume(slow, session, room.lastEventId);
    if (catchUp.type !== 'events') throw new Error('the log reaches back');
    const posted = catchUp.events.flatMap(({ event }) =>
      event.type === 'chat.posted' ? [event.message.text] : [],
    );
    expect(posted).toEqual(texts);
    expect(await edge.metric('plenary_edge_slow_sockets_total')).toBe(1);
  });
});
