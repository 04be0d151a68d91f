import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawSocket, upgradeStatus } from './testing/raw-socket.ts';
import { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

/** One edge on each of the two servers that may carry it. */
let cluster: TestCluster;
let portOf: Record<'uws' | 'node' | 'operators', string>;

beforeAll(async () => {
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
  const settings = { PLENARY_TRUSTED_PROXIES: '127.0.0.0/8', PLENARY_CONNECTS_PER_ADDRESS: '2' };
  await cluster.addEdge('edge-uws', settings);
  await cluster.addEdge('edge-node', { ...settings, PLENARY_HTTP_SERVER: 'node' });
  portOf = {
    uws: new URL(cluster.edge(0).url).port,
    node: new URL(cluster.edge(1).url).port,
    operators: new URL(cluster.edge(0).operatorUrl).port,
  };
});
afterAll(async () => cluster.stop());

/** Sends bytes and gives all that comes back until the other side is silent or gone. */
async function exchange(port: string, bytes: string | Uint8Array): Promise<string> {
  const socket = connect(Number(port), '127.0.0.1');
  let answer = '';
  let isOver = false;
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isOver = true;
  });
  await once(socket, 'connect');
  socket.write(bytes);
  await waitFor('an answer', () => isOver || answer.includes('\r\n\r\n'));
  socket.destroy();
  return answer;
}

const statusOf = (answer: string): string => /^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 'none';
const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

/** What nobody serves, on no port: the answer, what is sent, and what uWebSockets.js answers where that differs. */
const ODD_REQUESTS: readonly (readonly [status: string, bytes: string, ofUws?: string])[] = [
  ['431', head('GET /health HTTP/1.1', 'Host: x', `Cookie: ${'a'.repeat(40_000)}`)],
  ['505', head('PRI * HTTP/2.0', '', 'SM')],
  ['505', head('GET /health HTTP/1.2', 'Host: x')],
  ['400', head('GET /health HTTP/1.1', 'Host: x', 'Content-Length: abc')],
  ['400', head('GET /health HTTP/1.1', 'Host: x', 'Content-Length: -1')],
  ['400', head('POST /health HTTP/1.1', 'Host: x', 'Content-Length: 3', 'Transfer-Encoding: chunked')],
  ['400', head('POST /health HTTP/1.1', 'Host: x', 'Content-Length: 0', 'Content-Length: 3')],
  ['400', head('POST /health HTTP/1.1', 'Host: x', 'Transfer-Encoding: xchunked')],
  ['400', head('POST /health HTTP/1.1', 'Host: x', 'Transfer-Encoding: identity')],
  ['400', '\u0016\u0003\u0001 garbage\r\n\r\n', '505'],
  ['400', head('GET /health HTTP/1.1', 'Host: x', 'no colon')],
  ['400', 'GET /health HTTP/1.1\nHost: x\n\n', '505'],
  ['405', head('CONNECT meet.example:443 HTTP/1.1', 'Host: meet.example:443'), '505'],
  ...['DELETE', 'PUT', 'PATCH', 'TRACE'].map(
    (method) => ['405', head(`${method} /health HTTP/1.1`, 'Host: x', 'Content-Length: 0')] as const,
  ),
];

/** What is served in odd shapes. */
const ODD_SHAPES: readonly (readonly [status: string, ...lines: string[]])[] = [
  ['200', 'GET /health HTTP/1.1', 'Host: x', `Cookie: ${'a'.repeat(16_384)}`],
  ['404', `GET /${'a'.repeat(9_000)} HTTP/1.1`, 'Host: x'],
  ['200', 'GET /health?x=[%zz HTTP/1.1', 'Host: x'],
  ['200', 'HEAD /health HTTP/1.1', 'Host: x'],
  ['404', 'GET //health HTTP/1.1', 'Host: x'],
  ['404', 'GET /%00 HTTP/1.1', 'Host: x'],
  [
    '200',
    'GET /health HTTP/1.1',
    'Host: x',
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: A',
  ],
  [
    '200',
    'GET /health HTTP/1.1',
    'Host: x',
    'Accept: a',
    'Accept: b',
    'X-Forwarded-For: ,,',
    'Forwarded: ;=,"',
  ],
];

it.each(['node', 'operators'] as const)(
  '[EN28] whoever asks for a tunnel and stays is disconnected, on %s',
  async (server) => {
    const socket = connect({ host: '127.0.0.1', port: Number(portOf[server]), allowHalfOpen: true });
    let isClosed = false;
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(`${head('CONNECT meet.example:443 HTTP/1.1', 'Host: meet.example:443')}x`);
    // Whoever does not close its own side learns of the end by writing.
    const writing = setInterval(() => socket.write('x'), 50);
    socket.on('close', () => {
      isClosed = true;
    });
    await waitFor('the end of the connection', () => isClosed);
    clearInterval(writing);
  },
);

describe.each(['uws', 'node', 'operators'] as const)('odd HTTP, on %s', (server) => {
  const cases = ODD_REQUESTS.map(([status, bytes, ofUws = status]) => ({
    status: server === 'uws' ? ofUws : status,
    bytes,
  }));
  it.each(cases)('[EN5] $status is the answer to $bytes', async ({ status, bytes }) => {
    expect(statusOf(await exchange(portOf[server], bytes))).toBe(status);
  });

  it('[EN5] what is served is served in odd shapes, too', async () => {
    for (const [status, ...lines] of ODD_SHAPES) {
      const answer = await exchange(portOf[server], head(...lines));
      expect([lines[0]?.slice(0, 60), statusOf(answer)]).toEqual([lines[0]?.slice(0, 60), status]);
    }
  });
});

describe.each(['uws', 'node'] as const)('HTTP of other people, on %s', (server) => {
  const ask = async (...lines: string[]): Promise<string> => exchange(portOf[server], head(...lines));

  it('[EN24] HEAD is answered wherever GET is, and long polling is refused', async () => {
    const shapes: readonly (readonly [status: string, ...lines: string[]])[] = [
      ['200', 'HEAD /api/edges HTTP/1.1', 'Host: x'],
      ['200', 'HEAD /api/ping HTTP/1.1', 'Host: x'],
      ['400', 'GET /socket.io/?EIO=4&transport=polling HTTP/1.1', 'Host: x'],
      ['400', 'POST /socket.io/?EIO=4&transport=polling HTTP/1.1', 'Host: x', 'Content-Length: 0'],
    ];
    for (const [status, ...lines] of shapes)
      expect([lines[0], statusOf(await ask(...lines))]).toEqual([lines[0], status]);
  });

  it('[EN5] codings that a proxy may read otherwise are refused', async () => {
    // Node's own server reads codings as HTTP means them.
    const status = server === 'uws' ? '400' : '405';
    const answer = await ask('POST /health HTTP/1.1', 'Host: x', 'Transfer-Encoding: gzip, chunked');
    expect(statusOf(answer)).toBe(status);
  });

  it('[EN27] a socket does not name another one, open or not', async () => {
    const raw = await RawSocket.open(`http://127.0.0.1:${portOf[server]}`);
    const { sid } = JSON.parse(raw.received[0]?.slice(1) ?? '') as { sid: string };
    const path = (id: string): string => `/socket.io/?EIO=4&transport=websocket&sid=${id}`;
    for (const id of [sid, 'none', '__proto__', 'constructor']) {
      expect(statusOf(await ask(`GET ${path(id)} HTTP/1.1`, 'Host: x'))).toBe('400');
      const upgraded = await ask(
        `GET ${path(id)} HTTP/1.1`,
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      );
      expect(statusOf(upgraded)).toBe('400');
    }
    raw.close();
  });

  it('[EN6] every line that proxies wrote counts, whatever it looks like', async () => {
    const url = `http://127.0.0.1:${portOf[server]}`;
    const status = async (headers: Record<string, string>): Promise<number> => upgradeStatus(url, headers);
    // On Node's own server Engine.IO refuses a WebSocket with 400 always.
    const refused = server === 'uws' ? 403 : 400;
    await expectOneBucket(refused, status, [
      (index) => ({ 'x-forwarded-for': `[2001:db8::7]:${index + 1}` }),
      () => ({ 'x-forwarded-for': '6.6.6.6, 2001:db8::7' }),
      () => ({ forwarded: 'for=6.6.6.6, for="[2001:db8::7]:99"' }),
    ]);
    expect(await status({ 'x-forwarded-for': '2001:db8:1::7' })).toBe(101);
  });

  it('[EN5] a socket at another path, as behind a proxy that adds one, is not found', async () => {
    for (const path of ['/plenary/socket.io/', '/socket.io', '/', '/health', '/SOCKET.IO/', '//socket.io/']) {
      const answer = await ask(
        `GET ${path}?EIO=4&transport=websocket HTTP/1.1`,
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      );
      // Where there is something else at the path, that is the answer.
      expect([path, ['404', '200'].includes(statusOf(answer))]).toEqual([path, true]);
    }
  });

  it('[EN5] whoever asks for a socket in an odd way is answered, and the edge serves on', async () => {
    const upgrade = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const path = '/socket.io/?EIO=4&transport=websocket';
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    for (const [target, ...more] of [
      ['/socket.io/?EIO=3&transport=websocket', key],
      ['/socket.io/?transport=websocket', key],
      ['/socket.io/?EIO=4&transport=__proto__', key],
      ['/socket.io/?EIO=4', key],
      [`${path}&EIO=3`, key],
      [path, key, 'Origin: http://evil.example'],
      [path, key, 'Origin: \u0001'],
    ] as const) {
      const status = statusOf(await ask(`GET ${target} HTTP/1.1`, ...upgrade, ...more));
      expect([target, ['400', '403', '101'].includes(status)]).toEqual([target, true]);
      expect(status).not.toBe(target === path ? '101' : '');
    }
    const client = await TestClient.connect(`http://127.0.0.1:${portOf[server]}`);
    client.close();
  });
});

/**
 * All these ways of asking are one address' own, which may ask twenty times at once and twice more a second (`PLENARY_CONNECTS_PER_ADDRESS`):
 * what the first of them emptied lets the others in no more often than it is filled meanwhile, however long a busy machine takes.
 */
async function expectOneBucket<Way>(
  refused: number,
  statusOfWay: (way: Way) => Promise<number>,
  [first, ...others]: readonly ((index: number) => Way)[],
): Promise<void> {
  let asked = 0;
  const isRefused = async (way: ((index: number) => Way) | undefined): Promise<boolean> => {
    if (way === undefined) throw new Error('there is no way to ask');
    const status = await statusOfWay(way(asked++));
    expect([101, refused]).toContain(status);
    return status === refused;
  };
  await waitFor('a refusal', () => isRefused(first));
  for (const way of others) {
    const emptyAtMs = performance.now();
    let letIn = 0;
    while (letIn < 20 && !(await isRefused(way))) letIn += 1;
    expect(letIn).toBeLessThanOrEqual(1 + (2 * (performance.now() - emptyAtMs)) / 1_000);
    await waitFor('a refusal', () => isRefused(way));
  }
}

/** A PROXY header, version 2, that names this last byte of 203.0.113.0/24. */
const proxyHeader = (last: number): Uint8Array =>
  Uint8Array.from([
    ...[0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a],
    ...[0x21, 0x11, 0x00, 0x0c],
    ...[203, 0, 113, last, 10, 0, 0, 1, 0x10, 0x00, 0x01, 0xbb],
  ]);
const UPGRADE = head(
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
);

describe.each(['uws', 'node'] as const)('a peer that is no trusted proxy, on %s', (server) => {
  it('[EN6] [AD17] stays one address whatever it claims, and that its header is ignored is said once', async () => {
    const edge = await cluster.addEdge(`edge-strict-${server}`, {
      PLENARY_CONNECTS_PER_ADDRESS: '2',
      PLENARY_HTTP_SERVER: server,
    });
    const { port } = new URL(edge.url);
    const claims: readonly ((index: number) => Promise<number>)[] = [
      (index) => upgradeStatus(edge.url, { 'x-forwarded-for': `6.6.6.${index}` }),
      (index) => upgradeStatus(edge.url, { forwarded: `for="[2001:db8::${index}]:99"` }),
      async (index) =>
        Number(statusOf(await exchange(port, Buffer.concat([proxyHeader(index), Buffer.from(UPGRADE)])))),
    ];
    for (const claim of claims) {
      const answers = new Set<number>();
      for (let index = 1; index <= 60; index += 1) answers.add(await claim(index));
      expect([...answers]).toContain(server === 'uws' ? 403 : 400);
    }
    const says = 'X-Forwarded-For of this address is ignored';
    await waitFor('the word', () => edge.output.includes(says));
    expect(edge.output.split(says)).toHaveLength(2);
  });
});

describe('HTTP of other versions', () => {
  it('[EN25] Node’s own server answers HTTP/1.0, requests without Host, and whole URLs', async () => {
    const ask = async (...lines: string[]): Promise<string> =>
      statusOf(await exchange(portOf.node, head(...lines)));
    expect(await ask('GET /health HTTP/1.0')).toBe('200');
    expect(await ask('HEAD /health HTTP/1.0')).toBe('200');
    expect(await ask('GET /health HTTP/1.1')).toBe('200');
    expect(await ask('GET http://meet.example/health?x HTTP/1.1', 'Host: meet.example')).toBe('200');
    expect(await ask('OPTIONS * HTTP/1.1', 'Host: x')).toBe('405');
  });

  it('[EN5] uWebSockets.js says which version it wants', async () => {
    const ask = async (...lines: string[]): Promise<string> =>
      statusOf(await exchange(portOf.uws, head(...lines)));
    expect(await ask('GET /health HTTP/1.0')).toBe('505');
    expect(await ask('PRI * HTTP/2.0')).toBe('505');
    expect(await ask('GET /health HTTP/1.1')).toBe('400');
  });

  it('[EN30] the PROXY protocol, version 2, is believed from a trusted proxy', async () => {
    const bytes = Buffer.concat([proxyHeader(9), Buffer.from(UPGRADE)]);
    const url = `http://127.0.0.1:${portOf.uws}`;
    const byHeader = async (): Promise<number> => Number(statusOf(await exchange(portOf.uws, bytes)));
    const byLine = async (): Promise<number> => upgradeStatus(url, { 'x-forwarded-for': '203.0.113.9' });
    await expectOneBucket(403, async (ask) => ask(), [() => byHeader, () => byLine]);
    expect(await upgradeStatus(url, { 'x-forwarded-for': '203.0.113.10' })).toBe(101);
  });
});
