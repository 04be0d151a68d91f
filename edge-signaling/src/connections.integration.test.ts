import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EdgeProcess } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

/** One edge on each of the two servers that may carry it. */
let cluster: TestCluster;
let held: Socket[] = [];
beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
  const settings = { PLENARY_MAX_SOCKETS: '200', PLENARY_CONNECTS_PER_ADDRESS: '2' };
  await cluster.addEdge('edge-uws', settings);
  await cluster.addEdge('edge-node', { ...settings, PLENARY_HTTP_SERVER: 'node' });
});
afterEach(() => {
  for (const socket of held) socket.destroy();
  held = [];
  cluster.closeClients();
});
afterAll(async () => cluster.stop());

/** Opens connections that say nothing. */
function holdOpen(url: string, localAddress: string, count: number): void {
  const { hostname, port } = new URL(url);
  for (let opened = 0; opened < count; opened += 1) {
    const socket = connect({ host: hostname, port: Number(port), localAddress });
    socket.on('error', () => undefined);
    held.push(socket);
  }
}

const refused = async (edge: EdgeProcess, reason: string): Promise<number> =>
  edge.metric('plenary_edge_refused_connections_total', `reason="${reason}"`);

describe.each(['uws', 'node'] as const)('connections that say nothing, on %s', (server) => {
  const index = server === 'uws' ? 0 : 1;

  it('[EN12] of one address take a part of the room that there is, and others come in', async () => {
    const edge = cluster.edge(index);
    holdOpen(edge.url, '127.0.0.9', 400);
    await waitFor('most to be refused', async () => (await refused(edge, 'connections_of_address')) > 300);
    const ann = await cluster.client(index);
    await ann.join('daily');
    expect((await fetch(`${edge.url}/api/ping`)).status).toBe(200);
  });

  it.runIf(process.platform === 'linux')(
    '[AD3] an edge that has as many files open as it may says so once, and goes on',
    async () => {
      const edge = cluster.edge(index);
      const limitFiles = (limit: number): void => {
        execFileSync('prlimit', ['--pid', `${edge.pid}`, `--nofile=${limit}:`]);
      };
      const limit = Number(
        /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${edge.pid}/limits`, 'utf8'))?.[1],
      );
      limitFiles(16);
      await waitFor('the word', () => edge.output.includes('as many files open as it may'));
      limitFiles(limit);
      await waitFor('the edge to be ready', async () => (await edge.status('/ready')) === 200);
      expect(edge.output.split('as many files open as it may')).toHaveLength(2);
      expect(edge.output).toContain('--ulimit nofile=');
    },
  );

  it('[EN12] of many addresses leave the edge its files: who is in stays, and the store and operators are reached', async () => {
    const edge = cluster.edge(index);
    const ann = await cluster.client(index);
    await ann.join('daily');
    for (let last = 10; last < 40; last += 1) holdOpen(edge.url, `127.0.1.${last}`, 15);
    await waitFor('no more to be taken', async () => (await refused(edge, 'connections_full')) > 100);
    await ann.call('chat.post', { requestId: 'c1', text: 'all is well' });
    expect(await edge.status('/ready')).toBe(200);
    for (const socket of held) socket.destroy();
    await waitFor('others to be let in again', async () =>
      fetch(`${edge.url}/api/ping`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });
});
