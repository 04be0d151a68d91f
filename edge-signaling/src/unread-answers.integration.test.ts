import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EdgeProcess } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

/** Beyond what the kernels between take. */
const FILE_BYTES = 1_000_000;
const MOST_QUESTIONS = 300;
/** A third of what unread answers would come to. */
const MOST_GROWTH_BYTES = 100_000_000;

let cluster: TestCluster;
let webRoot: string;

beforeAll(async () => {
  webRoot = await mkdtemp(join(tmpdir(), 'plenary-web-'));
  await writeFile(join(webRoot, 'index.html'), '<p>the page</p>');
  await writeFile(join(webRoot, 'large.bin'), Buffer.alloc(FILE_BYTES, 'x'));
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
});
afterAll(async () => {
  await cluster.stop();
  await rm(webRoot, { recursive: true });
});

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Origin: https://evil.example',
];
const request = (line: string, ...lines: string[]): string =>
  [line, 'Host: x', ...lines].map((each) => `${each}\r\n`).join('') + '\r\n';

async function open(edge: EdgeProcess): Promise<Socket> {
  const { hostname, port } = new URL(edge.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

describe.each(['uws', 'node'] as const)('a client that reads no answer, on %s', (server) => {
  let edge: EdgeProcess;
  beforeAll(async () => {
    edge = await cluster.addEdge(`edge-${server}`, {
      PLENARY_HTTP_SERVER: server,
      PLENARY_WEB_ROOT: webRoot,
    });
  });

  it('[RL8] [RL13] asks for a file over and over, and the edge keeps none of it', async () => {
    const before = await edge.metric('process_resident_memory_bytes');
    const socket = await open(edge);
    for (let asked = 0; asked < MOST_QUESTIONS && !socket.destroyed; asked += 1) {
      socket.write(request('GET /large.bin HTTP/1.1'));
      // By then the edge has had a turn for the one before.
      expect(await edge.status('/health')).toBe(200);
    }
    const growth = (await edge.metric('process_resident_memory_bytes')) - before;
    socket.destroy();
    expect(growth).toBeLessThan(MOST_GROWTH_BYTES);
  });

  it('[RL8] reads slowly, and gets all of it', async () => {
    const socket = await open(edge);
    socket.write(request('GET /large.bin HTTP/1.1', 'Accept-Encoding: identity'));
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (some: string) => {
      text += some;
      socket.pause();
      setImmediate(() => socket.resume());
    });
    const bodyOf = (): string => text.slice(text.indexOf('\r\n\r\n') + 4);
    await waitFor('the whole file', () => bodyOf().length === FILE_BYTES);
    expect(bodyOf()).toBe('x'.repeat(FILE_BYTES));
    // The connection is there for the next one.
    text = '';
    socket.write(request('GET /api/ping HTTP/1.1'));
    await waitFor('the next answer', () => text.startsWith('HTTP/1.1 200'));
    socket.destroy();
  });
});

it.each([
  ['HEAD', request('HEAD /large.bin HTTP/1.1')],
  [
    'a handshake of another site',
    request('GET /socket.io/?EIO=4&transport=websocket HTTP/1.1', ...HANDSHAKE),
  ],
  [
    'a handshake that names a socket',
    request('GET /socket.io/?EIO=4&transport=websocket&sid=x HTTP/1.1', ...HANDSHAKE),
  ],
])('[RL14] uWebSockets.js closes the connection with the answer to %s', async (_, asked) => {
  const socket = await open(cluster.edge(0));
  let text = '';
  let isOver = false;
  socket.setEncoding('latin1');
  socket.on('data', (some: string) => {
    text += some;
  });
  socket.on('end', () => {
    isOver = true;
  });
  socket.write(asked);
  await waitFor('the answer', () => text.includes('\r\n\r\n'));
  socket.write(asked);
  await waitFor('the end of the connection', () => isOver);
  expect(text.match(/^HTTP\//gm)).toHaveLength(1);
});
