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
function holdOpen(url: string, localAddress: string, count: number): readonly Socket[] {
  const { hostname, port } = new URL(url);
  const opened = Array.from({ length: count }, () =>
    connect({ host: hostname, port: Number(port), localAddress }),
  );
  for (const socket of opened) socket.on('error', () => undefined);
  held.push(...opened);
  return opened;
}

/** Opens connections from twenty addresses, fifteen of each. @returns them, once each is open or refused */
async function openMany(url: string, network: string, first?: string): Promise<readonly Socket[]> {
  const opened = Array.from({ length: 20 }, (_, index) =>
    holdOpen(url, `${network}.${10 + index}`, 15),
  ).flat();
  await Promise.all(
    opened.map(async (socket) =>
      Promise.race([
        new Promise((resolve) => {
          socket.once(first === undefined ? 'connect' : 'data', resolve);
          if (first !== undefined) socket.write(first);
        }),
        new Promise((resolve) => socket.once('close', resolve)),
      ]),
    ),
  );
  return opened;
}

const HTTP_REQUEST = 'GET /api/ping HTTP/1.1\r\nHost: edge\r\n\r\n';
const UPGRADE_REQUEST = [
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
  'Host: edge',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '\r\n',
].join('\r\n');

const refused = async (edge: EdgeProcess, reason: string): Promise<number> =>
  edge.metric('plenary_edge_refused_connections_total', `reason="${reason}"`);

describe.each(['uws', 'node'] as const)('connections that say nothing, on %s', (server) => {
  const index = server === 'uws' ? 0 : 1;

  it('[EN12] are counted while they are open: not those of before, nor requests and sockets that were', async () => {
    const edge = cluster.edge(index);
    const close = async (sockets: readonly Socket[]): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      // Answered after what came before.
      for (let time = 0; time < 3; time += 1) await edge.status('/ready');
    };
    const refusedOf = async (network: string): Promise<number> => {
      const before = await refused(edge, 'connections_of_address');
      const opened = await openMany(edge.url, network);
      // Connections are judged in their order: when one more is answered, all are. There is room for it, whatever the others hold.
      const [last] = holdOpen(edge.url, `${network}.99`, 1);
      last?.write(HTTP_REQUEST);
      await new Promise((resolve) => last?.once('data', resolve));
      const count = (await refused(edge, 'connections_of_address')) - before;
      await close(opened);
      return count;
    };
    const first = await refusedOf('127.0.2');
    expect(first).toBeGreaterThan(50);
    await close(await openMany(edge.url, '127.0.3', HTTP_REQUEST));
    await close(await openMany(edge.url, '127.0.4', UPGRADE_REQUEST));
    expect(await refusedOf('127.0.5')).toBe(first);
    expect(await refused(edge, 'connections_full')).toBe(0);
  });

  it('[EN36] of one address take a part of the room that there is, and others come in', async () => {
    const edge = cluster.edge(index);
    holdOpen(edge.url, '127.0.0.9', 400);
    await waitFor('most to be refused', async () => (await refused(edge, 'connections_of_address')) > 300);
    const ann = await cluster.client(index);
    await ann.join('daily');
    expect((await fetch(`${edge.url}/api/ping`)).status).toBe(200);
  });

  it.runIf(process.platform === 'linux')(
    '[AD15] an edge that has as many files open as it may says so once, and goes on',
    async () => {
      const edge = cluster.edge(index);
      const limitFiles = (limit: number): void => {
        execFileSync('prlimit', ['--pid', `${edge.pid}`, `--nofile=${limit}:`]);
      };
      const limit = Number(
        /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${edge.pid}/limits`, 'utf8'))?.[1],
      );
      limitFiles(16);
      await edge.logged('as many files open as it may');
      limitFiles(limit);
      await waitFor('the edge to be ready', async () => (await edge.status('/ready')) === 200);
      expect(edge.output.split('as many files open as it may')).toHaveLength(2);
      expect(edge.output).toContain('--ulimit nofile=');
    },
  );

  it('[EN12] [EN39] of many addresses leave the edge its files: who is in stays, and the store and operators are reached', async () => {
    const edge = cluster.edge(index);
    const ann = await cluster.client(index);
    await ann.join('daily');
    const before = await refused(edge, 'connections_of_address');
    for (let last = 10; last < 40; last += 1) holdOpen(edge.url, `127.0.1.${last}`, 15);
    await waitFor(
      'most to be refused',
      async () => (await refused(edge, 'connections_of_address')) - before > 150,
    );
    await ann.call('chat.post', { requestId: 'c1', text: 'all is well' });
    await edge.ready();
    const bob = await cluster.client(index);
    await bob.join('daily');
    for (const socket of held) socket.destroy();
    await waitFor('others to be let in again', async () =>
      fetch(`${edge.url}/api/ping`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });
});
