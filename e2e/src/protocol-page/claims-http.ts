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

/** The status, and the code of the error. */
const refusal = async (response: Response): Promise<unknown> => {
  const body = fields(await response.json());
  return [response.status, fields(body['error'])['code']];
};

/** Which headers a page of another origin needs to read an answer. */
const readers = ({ headers }: Response): string | null => headers.get('access-control-allow-origin');

const guest = (changes: Record<string, unknown> = {}): string =>
  JSON.stringify({ roomId: 'guests', displayName: 'Ann', ...changes });

/** A body of exactly so many bytes. */
const ofLength = (bytes: number): string =>
  guest({ ignored: 'x'.repeat(bytes - guest({ ignored: '' }).length) });

/** How an edge answers a WebSocket handshake: the status, and the reason where it is refused. */
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
      'an edge refuses origins that are not allowed with status 403, and says so in the message of the body',
    of: async (strangers) => [
      await shakeHands(strangers, strangers.url()),
      await shakeHands(strangers, ELSEWHERE),
      await shakeHands(strangers, 'null'),
    ],
    is: [[101], [403, 'origin'], [403, 'origin']],
  },
  {
    sentence: 'long polling is refused with status 400',
    of: async (strangers) => (await ask(strangers, '/socket.io/?EIO=4&transport=polling')).status,
    is: 400,
  },
  {
    sentence: 'GET /api/edges names the edges that take clients, to pages of any site',
    of: async (strangers) => {
      const response = await ask(strangers, '/api/edges', { headers: { origin: ELSEWHERE } });
      const edges = list(fields(await response.json())['edges']);
      return [edges.map((edge) => Object.keys(edge).sort()), edges.length, readers(response)];
    },
    is: [Array.from({ length: 2 }, () => ['datacenter', 'edgeId', 'url']), 2, '*'],
  },
  {
    sentence: 'GET /api/ping answers nothing, with the time it took for pages of any site',
    of: async (strangers) => {
      const response = await ask(strangers, '/api/ping');
      return [response.status, await response.text(), response.headers.get('timing-allow-origin')];
    },
    is: [200, '', '*'],
  },
  {
    sentence: 'descriptions may be cached for five minutes and have an ETag',
    of: async (strangers) => {
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
    is: Array.from({ length: 2 }, () => [200, 304, 'public, max-age=300', '*']),
  },
  {
    sentence:
      'the schemas hold request:join, reply:join, notice:event, envelope and error, the errors and the versions',
    of: async (strangers) => {
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
    is: [[], true, [1]],
  },
  {
    sentence: 'POST /api/guest-token answers a token that joins as a speaker, and the edges',
    of: async (strangers) => {
      const answer = fields(await (await guestToken(strangers, guest())).json());
      const join = await strangers.joinPayload({ roomId: 'guests', token: answer['token'] });
      const { session } = await (await strangers.connect()).call('join', join);
      return [Object.keys(answer).sort(), fields(session)['role'], fields(session)['displayName']];
    },
    is: [['edges', 'token'], 'speaker', 'Ann'],
  },
  {
    sentence: 'a guest token is asked for with 4096 bytes at most',
    of: async (strangers) => [
      (await guestToken(strangers, ofLength(4_096))).status,
      await refusal(await guestToken(strangers, ofLength(4_097))),
    ],
    is: [200, [413, 'message_too_large']],
  },
  {
    sentence: 'a request for a guest token that does not fit is malformed_message',
    of: async (strangers) => {
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
    is: Array.from({ length: 6 }, () => [400, 'malformed_message']),
  },
  {
    sentence:
      'a page of an allowed origin reads its guest token, and why it got none; one of another site neither',
    of: async (strangers) => {
      const own = strangers.url();
      return [
        readers(await guestToken(strangers, guest(), own)) === own,
        readers(await guestToken(strangers, '{', own)) === own,
        readers(await guestToken(strangers, guest(), ELSEWHERE)),
        (await guestToken(strangers, guest(), ELSEWHERE)).status,
      ];
    },
    is: [true, true, null, 403],
  },
  {
    sentence: 'browsers get their preflight',
    of: async (strangers) => {
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
    is: [
      [true, 'POST'],
      [false, null],
      [true, 'GET, HEAD'],
    ],
  },
  {
    sentence:
      'an unknown path below /api/ is 404 and a method that a path does not have 405, both unknown_message',
    of: async (strangers) => [
      await refusal(await ask(strangers, '/api/none')),
      await refusal(await ask(strangers, '/api/edges', { method: 'DELETE' })),
      await refusal(await ask(strangers, '/api/guest-token')),
    ],
    is: [
      [404, 'unknown_message'],
      [405, 'unknown_message'],
      [405, 'unknown_message'],
    ],
  },
];
