import { get } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Claim } from './claim.ts';
import type { Strangers } from './stranger.ts';
import { fields, list } from './page-client.ts';

const ELSEWHERE = 'https://elsewhere.example';

const ask = async (strangers: Strangers, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${strangers.url()}${path}`, init);

const guestToken = async (strangers: Strangers, body: string, origin?: string): Promise<Response> =>
  ask(strangers, '/api/guest-token', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...(origin === undefined ? {} : { origin }) },
  });

/** The status and the error code of a refusal. */
const refusal = async (response: Response): Promise<unknown> => {
  const body = fields(await response.json());
  return [response.status, fields(body['error'])['code']];
};

/** The origin that may read the answer, by its CORS header. */
const readers = ({ headers }: Response): string | null => headers.get('access-control-allow-origin');

const guest = (changes: Record<string, unknown> = {}): string =>
  JSON.stringify({ roomId: 'guests', displayName: 'Ann', ...changes });

/** A body of this length, in bytes. */
const ofLength = (bytes: number): string =>
  guest({ ignored: 'x'.repeat(bytes - guest({ ignored: '' }).length) });

/** How an edge answers a WebSocket handshake: the status, and the reason of a refusal. */
const shakeHands = async (strangers: Strangers, origin: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const request = get(`${strangers.url()}/socket.io/?EIO=4&transport=websocket`, {
      headers: {
        origin,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    });
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve([response.statusCode]);
    });
    request.on('response', (response) => {
      json(response).then((body) => resolve([response.statusCode, fields(body)['message']]), reject);
    });
    request.on('error', reject);
  });

export const HTTP_CLAIMS: readonly Claim[] = [
  {
    sentence:
      'an edge refuses origins that are not allowed with status 403, and names the reason in the body',
    attempt: async (strangers) => [
      await shakeHands(strangers, strangers.url()),
      await shakeHands(strangers, ELSEWHERE),
      await shakeHands(strangers, 'null'),
    ],
    expected: [[101], [403, 'origin'], [403, 'origin']],
  },
  {
    sentence: 'long polling is refused with status 400',
    attempt: async (strangers) => (await ask(strangers, '/socket.io/?EIO=4&transport=polling')).status,
    expected: 400,
  },
  {
    sentence: 'GET /api/edges names the edges that accept clients, to pages of any site',
    attempt: async (strangers) => {
      const response = await ask(strangers, '/api/edges', { headers: { origin: ELSEWHERE } });
      const edges = list(fields(await response.json())['edges']);
      return [edges.map((edge) => Object.keys(edge).sort()), edges.length, readers(response)];
    },
    expected: [Array.from({ length: 2 }, () => ['datacenter', 'edgeId', 'url']), 2, '*'],
  },
  {
    sentence: 'GET /api/ping has an empty answer, whose timing pages of any site may read',
    attempt: async (strangers) => {
      const response = await ask(strangers, '/api/ping');
      return [response.status, await response.text(), response.headers.get('timing-allow-origin')];
    },
    expected: [200, '', '*'],
  },
  {
    sentence: 'descriptions may be cached for five minutes and have an ETag',
    attempt: async (strangers) => {
      const answers: unknown[] = [];
      for (const path of ['/api/capabilities', '/api/protocol.json']) {
        const first = await ask(strangers, path);
        await first.arrayBuffer();
        const etag = first.headers.get('etag') ?? '';
        const second = await ask(strangers, path, { headers: { 'if-none-match': etag } });
        answers.push([first.status, second.status, first.headers.get('cache-control'), readers(second)]);
      }
      return answers;
    },
    expected: Array.from({ length: 2 }, () => [200, 304, 'public, max-age=300', '*']),
  },
  {
    sentence:
      'the schemas hold request:join, reply:join, notice:event, envelope and error, the errors and the versions',
    attempt: async (strangers) => {
      const schema = fields(await (await ask(strangers, '/api/protocol.json')).json());
      const names = Object.keys(fields(schema['$defs']));
      const wanted = ['request:join', 'reply:join', 'notice:event', 'envelope', 'error'];
      const errors = Object.keys(fields(schema['x-errors']));
      return [
        wanted.filter((name) => !names.includes(name)),
        errors.includes('stale_epoch'),
        schema['x-protocolVersions'],
      ];
    },
    expected: [[], true, [1]],
  },
  {
    sentence: 'POST /api/guest-token answers a token that joins as a speaker, and the edges',
    attempt: async (strangers) => {
      const answer = fields(await (await guestToken(strangers, guest())).json());
      const join = await strangers.joinPayload({ roomId: 'guests', token: answer['token'] });
      const { session } = await (await strangers.connect()).call('join', join);
      return [Object.keys(answer).sort(), fields(session)['role'], fields(session)['displayName']];
    },
    expected: [['edges', 'token'], 'speaker', 'Ann'],
  },
  {
    sentence: 'a request for a guest token has 4096 bytes at most',
    attempt: async (strangers) => [
      (await guestToken(strangers, ofLength(4_096))).status,
      await refusal(await guestToken(strangers, ofLength(4_097))),
    ],
    expected: [200, [413, 'message_too_large']],
  },
  {
    sentence: 'an invalid request for a guest token is malformed_message',
    attempt: async (strangers) => {
      const bodies = [
        '',
        '{',
        '[]',
        guest({ roomId: 'a b' }),
        guest({ displayName: '' }),
        guest({ datacenter: 'x'.repeat(33) }),
      ];
      return Promise.all(bodies.map(async (body) => refusal(await guestToken(strangers, body))));
    },
    expected: Array.from({ length: 6 }, () => [400, 'malformed_message']),
  },
  {
    sentence:
      'a page of an allowed origin may read its guest token or its refusal; a page of another site may read neither',
    attempt: async (strangers) => {
      const own = strangers.url();
      return [
        readers(await guestToken(strangers, guest(), own)) === own,
        readers(await guestToken(strangers, '{', own)) === own,
        readers(await guestToken(strangers, guest(), ELSEWHERE)),
        (await guestToken(strangers, guest(), ELSEWHERE)).status,
      ];
    },
    expected: [true, true, null, 403],
  },
  {
    sentence: 'browsers get their preflight',
    attempt: async (strangers) => {
      const preflight = async (path: string, origin: string): Promise<unknown> => {
        const response = await ask(strangers, path, { method: 'OPTIONS', headers: { origin } });
        return [response.ok, response.headers.get('access-control-allow-methods')];
      };
      return [
        await preflight('/api/guest-token', strangers.url()),
        await preflight('/api/guest-token', ELSEWHERE),
        await preflight('/api/edges', ELSEWHERE),
      ];
    },
    expected: [
      [true, 'POST'],
      [false, null],
      [true, 'GET, HEAD'],
    ],
  },
  {
    sentence:
      'an unknown path below /api/ is 404 and a method that a path does not have 405, both unknown_message',
    attempt: async (strangers) => [
      await refusal(await ask(strangers, '/api/none')),
      await refusal(await ask(strangers, '/api/edges', { method: 'DELETE' })),
      await refusal(await ask(strangers, '/api/guest-token')),
    ],
    expected: [
      [404, 'unknown_message'],
      [405, 'unknown_message'],
      [405, 'unknown_message'],
    ],
  },
];
