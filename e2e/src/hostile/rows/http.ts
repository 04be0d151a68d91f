import type { Attack } from '../attack.ts';
import { repeatEachUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { rawHttp, RawTcp } from '../raw-http.ts';
import { usageOf } from '../usage.ts';

/** All statuses but those that blame the server. */
const CLEAR = [
  'http 200',
  'http 204',
  'http 301',
  'http 308',
  'http 400',
  'http 401',
  'http 403',
  'http 404',
  'http 405',
  'http 408',
  'http 413',
  'http 414',
  'http 429',
  'http 431',
  'http 501',
  'http 505',
  'closed',
];

/** Sends each request to the edge and to the media node. */
function requests(
  name: string,
  does: string,
  all: readonly string[],
  gets: readonly string[] = CLEAR,
): Attack {
  return {
    name,
    world: 'plain',
    description: does,
    allowedAnswers: gets,
    strike: (world, isOver) =>
      repeatEachUntil(
        isOver,
        () =>
          all.flatMap((request) =>
            [world.target.publicUrl, world.targetNode.controlUrl].map((url) => ({ url, request })),
          ),
        ({ url, request }) => rawHttp(url, request, world.nextAddress()),
      ),
  };
}

const HOST = 'Host: meet.example.org\r\n';
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** How much of each body is sent, in bytes; the announced length is a little more. */
const BODY_BYTES = 60_000;
const BODIES = 2_500;
/** With fewer bodies the test would not show what the edge keeps. */
const FEWEST_BODIES = 1_000;
/** How much an edge may keep of all bodies, in bytes; it once kept all that was sent. */
const KEPT_OF_BODIES = 96 * 1_048_576;

export const HTTP: readonly Attack[] = [
  {
    name: 'thousands of bodies that never end',
    world: 'plain',
    description: `sends ${BODY_BYTES} bytes of a body, and no end of it, on each of ${BODIES} connections of one address`,
    allowedAnswers: ['open', 'closed'],
    strike: async (world, isOver) => {
      const localAddress = world.nextAddress();
      const head = `POST /api/guest-token HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 65000\r\n\r\n`;
      const body = Buffer.from(head + 'x'.repeat(BODY_BYTES));
      const before = usageOf(world).memoryBytes;
      const held: RawTcp[] = [];
      let most = 0;
      while (!isOver()) {
        const opening = Array.from({ length: 50 }, () => RawTcp.open(world.target.publicUrl, localAddress));
        for (const one of await Promise.allSettled(opening)) {
          if (one.status === 'rejected') continue;
          one.value.write(body);
          if (held.length < BODIES) held.push(one.value);
          else one.value.close();
        }
        most = Math.max(most, usageOf(world).memoryBytes - before);
      }
      const isClosed = held.some((connection) => connection.isClosed);
      for (const connection of held) connection.close();
      if (held.length < FEWEST_BODIES) return [`only ${held.length} held`];
      if (most > KEPT_OF_BODIES) return [`it kept ${Math.round(most / 1_048_576)} MiB`];
      return isClosed ? ['open', 'closed'] : ['open'];
    },
  },
  requests(
    'HTTP of other versions',
    'asks as HTTP/1.0, without `Host`, with HEAD, as HTTP/0.9, HTTP/2 and HTTP/3',
    [
      'GET /health HTTP/1.0\r\n\r\n',
      'HEAD /health HTTP/1.0\r\n\r\n',
      `HEAD /health HTTP/1.1\r\n${HOST}\r\n`,
      'GET /health HTTP/1.1\r\n\r\n',
      'GET /health\r\n\r\n',
      `GET /health HTTP/3.0\r\n${HOST}\r\n`,
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ],
  ),
  requests('headers of other shapes', 'sends 16 KiB of cookies, a hundred headers, doubled and broken ones', [
    `GET /health HTTP/1.1\r\n${HOST}Cookie: ${'c=x; '.repeat(3_200)}\r\n\r\n`,
    `GET /health HTTP/1.1\r\n${HOST}${Array.from({ length: 100 }, (_, index) => `X-${index}: y\r\n`).join('')}\r\n`,
    `GET /health HTTP/1.1\r\n${HOST}X-Forwarded-For: 1.2.3.4:5678, [2001:db8::1]:443, x, ,\r\nForwarded: for="[2001:db8::1]:4711";proto=https\r\n\r\n`,
    `GET /health HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `GET /health HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n`,
    `GET /health HTTP/1.1\r\n${HOST}no colon here\r\n\r\n`,
    `GET /health HTTP/1.1\r\n${HOST}X: \u0000\u0001\r\n\r\n`,
  ]),
  requests('invalid paths', 'asks for files outside the app, broken escapes, and very long paths', [
    `GET /../../../../etc/passwd HTTP/1.1\r\n${HOST}\r\n`,
    `GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n${HOST}\r\n`,
    `GET /%E0%A4%A HTTP/1.1\r\n${HOST}\r\n`,
    `GET /%00 HTTP/1.1\r\n${HOST}\r\n`,
    `GET http://169.254.169.254/ HTTP/1.1\r\n${HOST}\r\n`,
    `GET /${'a'.repeat(3_000)} HTTP/1.1\r\n${HOST}\r\n`,
    `GET /?${'a=b&'.repeat(700)} HTTP/1.1\r\n${HOST}\r\n`,
    `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  ]),
  requests('unexpected methods and bodies', 'deletes, connects, traces, and posts a megabyte', [
    `DELETE /health HTTP/1.1\r\n${HOST}\r\n`,
    `TRACE / HTTP/1.1\r\n${HOST}\r\n`,
    `CONNECT evil.example:443 HTTP/1.1\r\n${HOST}\r\n`,
    `GARBAGE / HTTP/1.1\r\n${HOST}\r\n`,
    `POST /api/token HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 1048576\r\n\r\n${'x'.repeat(1_048_576)}`,
    `POST /api/token HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nContent-Length: 12000\r\n\r\n${'['.repeat(12_000)}`,
    `OPTIONS /api/guest-token HTTP/1.1\r\n${HOST}Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n`,
    `POST /admin/drain HTTP/1.1\r\n${HOST}Authorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}`,
  ]),
  requests(
    'bodies of ambiguous length',
    'posts with two lengths, with a length and chunks, with unknown codings, and with invalid chunks',
    [
      `POST /health HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}GET `,
      `POST /health HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
      `POST /health HTTP/1.1\r\n${HOST}Content-Length: 2, 5\r\n\r\n{}GET `,
      `POST /health HTTP/1.1\r\n${HOST}Content-Length: +2\r\n\r\n{}`,
      `POST /health HTTP/1.1\r\n${HOST}Content-Length: 0x2\r\n\r\n{}`,
      `POST /health HTTP/1.1\r\n${HOST}Content-Length: 99999999999999999999\r\n\r\n{}`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: \u000bchunked\r\n\r\n0\r\n\r\n`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
      `POST /health HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n0\r\n\r\n`,
    ],
  ),
  requests(
    'invalid WebSocket handshakes',
    'upgrades to other paths, versions, transports and protocols',
    [
      `GET /socket.io/?EIO=3&transport=websocket HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`,
      `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n${HOST}\r\n`,
      `GET /socket.io/?EIO=4&transport=websocket&sid=nobody HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`,
      `GET /socket.io/?transport=__proto__&EIO=4 HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`,
      `POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\n40`,
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n\r\n`,
      `GET /elsewhere HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`,
    ],
    // Engine.IO accepts a WebSocket of another version, tells it the reason and closes it.
    [...CLEAR, 'http 101'],
  ),
  {
    name: 'connections that send nothing, or a letter at a time',
    world: 'plain',
    description:
      'holds 200 TCP connections to the edge and 100 to the media node, and writes a header a letter at a time',
    allowedAnswers: [...CLEAR, 'open'],
    strike: async (world, isOver) => {
      const held = await holdOpen(world, 200, 100);
      const letters = `GET /health HTTP/1.1\r\nX-Slow: ${'y'.repeat(10_000)}`;
      for (let at = 0; !isOver() && at < letters.length; at += 1) {
        for (const connection of held) connection.write(letters.charAt(at));
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      for (const connection of held) connection.close();
      return ['open'];
    },
  },
  {
    name: 'thousands of connections that send nothing',
    world: 'plain',
    description: 'opens 8,000 TCP connections to the edge from one address and never writes',
    allowedAnswers: ['open', 'closed'],
    strike: async (world, isOver) => {
      const localAddress = world.nextAddress();
      const held: RawTcp[] = [];
      while (!isOver() && held.length < 8_000) {
        const opening = Array.from({ length: 100 }, async () =>
          RawTcp.open(world.target.publicUrl, localAddress),
        );
        // A connection that the edge refuses at once may break before it is open here.
        for (const one of await Promise.allSettled(opening))
          if (one.status === 'fulfilled') held.push(one.value);
      }
      const closed = held.filter((connection) => connection.isClosed).length;
      for (const connection of held) connection.close();
      return closed > 0 ? ['open', 'closed'] : ['open'];
    },
  },
];

async function holdOpen(world: HostileWorld, edge: number, node: number): Promise<RawTcp[]> {
  const held: RawTcp[] = [];
  for (let count = 0; count < edge; count += 1)
    held.push(await RawTcp.open(world.target.publicUrl, world.nextAddress()));
  for (let count = 0; count < node; count += 1) held.push(await RawTcp.open(world.targetNode.controlUrl));
  return held;
}
