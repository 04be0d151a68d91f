import { randomUUID } from 'node:crypto';
import { asking, each, joining } from './claim.ts';
import type { Claim } from './claim.ts';
import { fields, SessionKey } from './page-client.ts';
import type { Fields } from './page-client.ts';
import type { Strangers } from './stranger.ts';

const MALFORMED = 'malformed_message';
/** One character, but two UTF-16 units. */
const EMOJI = '🎉';
/** The curve's base point, which is a valid key. */
const POINT = {
  kty: 'EC',
  crv: 'P-256',
  x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
  y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
};

const joiningEach = (changes: readonly Fields[]) =>
  each(changes, async (change, strangers: Strangers) => joining(change)(strangers));

/** How an edge answers resumptions with these changes, each of a new session. */
const resumingEach = (changes: readonly Fields[]) =>
  each(changes, async (change, strangers: Strangers) => {
    const person = await strangers.join();
    const client = await strangers.connect();
    return client.codeOf('resume', await strangers.resumePayload(person, client, change));
  });

const roundTrips = (count: number, roundTripMs = 1): Fields => ({
  roundTrips: Array.from({ length: count }, (_, index) => ({ datacenter: `dc${index}`, roundTripMs })),
});

export const ENTRY_CLAIMS: readonly Claim[] = [
  {
    sentence: 'a message carries exactly one payload, a JSON object',
    attempt: async (strangers) => {
      const client = await strangers.connect();
      for (const frame of [
        '42["join"]',
        '42["join",{},{}]',
        '42["join",null]',
        '42["join",7]',
        '42["join",[]]',
      ]) {
        client.send(frame);
      }
      await client.until('five refusals', () => client.noticesOf('refused').length === 5);
      return client.noticesOf('refused').map(({ code }) => code);
    },
    expected: Array.from({ length: 5 }, () => MALFORMED),
  },
  {
    sentence: 'an unknown message name is unknown_message',
    attempt: each(['no.such', 'constructor', '__proto__'], async (name, strangers: Strangers) =>
      (await strangers.connect()).codeOf(name, {}),
    ),
    expected: ['unknown_message', 'unknown_message', 'unknown_message'],
  },
  {
    sentence: 'fields that are not listed are ignored',
    attempt: async (strangers) => {
      const client = await strangers.connect();
      return client.codeOf('join', await strangers.joinPayload({ later: { a: 1 }, another: null }));
    },
    expected: 'ok',
  },
  {
    sentence: 'a payload is at most 32,768 long',
    attempt: async (strangers) => {
      const payload = await strangers.joinPayload({ padding: '' });
      const room = 32_768 - JSON.stringify(payload).length;
      const answers: string[] = [];
      for (const length of [room, room + 1]) {
        const client = await strangers.connect();
        answers.push(await client.codeOf('join', { ...payload, padding: 'x'.repeat(length) }));
      }
      return answers;
    },
    expected: ['ok', 'message_too_large'],
  },
  {
    sentence: 'outside a room only join and resume are allowed',
    attempt: each(
      [
        'session.confirm',
        'leave',
        'edge.check',
        'media.open',
        'track.publish',
        'subscribe',
        'chat.post',
        'roster.page',
        'sync',
      ],
      async (name, strangers: Strangers) => (await strangers.connect()).codeOf(name, {}),
    ),
    expected: Array.from({ length: 9 }, () => 'out_of_order'),
  },
  {
    sentence: 'inside a room join and resume are not allowed',
    attempt: async (strangers) => {
      const person = await strangers.join();
      return [
        await person.client.codeOf('join', await strangers.joinPayload()),
        await person.client.codeOf('resume', await strangers.resumePayload(person, person.client)),
      ];
    },
    expected: ['out_of_order', 'out_of_order'],
  },
  {
    sentence: 'during a join only its own repeat is allowed, and gives the same answer',
    attempt: async (strangers) => {
      const client = await strangers.connect();
      const payload = await strangers.joinPayload();
      const [first, repeat, other] = await Promise.all([
        client.call('join', payload),
        client.call('join', payload),
        client.codeOf('join', { ...payload, requestId: 'other' }),
      ]);
      return [JSON.stringify(first) === JSON.stringify(repeat), other];
    },
    expected: [true, 'out_of_order'],
  },
  {
    sentence: 'a version that the edge does not serve is protocol_version, at the join and at the resume',
    attempt: async (strangers) => [
      await joiningEach([{ protocolVersion: 0 }, { protocolVersion: 2 }, { protocolVersion: -1 }])(strangers),
      await resumingEach([{ protocolVersion: 2 }])(strangers),
      await joiningEach([{ protocolVersion: '1' }, { protocolVersion: 1.5 }, { protocolVersion: null }])(
        strangers,
      ),
    ],
    expected: [
      ['protocol_version', 'protocol_version', 'protocol_version'],
      ['protocol_version'],
      [MALFORMED, MALFORMED, MALFORMED],
    ],
  },
  {
    sentence: 'an id is made of letters, digits, _ and -, and a requestId of 64 at most',
    attempt: joiningEach(
      ['x'.repeat(64), 'aZ09_-', 'x'.repeat(65), '', 'a b', 'ä', 'a/b', 'a\n', 7].map((requestId) => ({
        requestId,
      })),
    ),
    expected: ['ok', 'ok', ...Array.from({ length: 7 }, () => MALFORMED)],
  },
  {
    sentence: 'a roomId is an id of 64 at most',
    attempt: joiningEach(['x'.repeat(64), 'x'.repeat(65), 'a b', ''].map((roomId) => ({ roomId }))),
    expected: ['ok', MALFORMED, MALFORMED, MALFORMED],
  },
  {
    sentence: 'the roomId must be the room of the token',
    attempt: async (strangers) => joining({ token: strangers.token({ room: 'elsewhere' }) })(strangers),
    expected: 'token_wrong_room',
  },
  {
    sentence: 'a token is 1 to 4096 long, and a text that is no token is token_invalid',
    attempt: joiningEach(['', 'x'.repeat(4_097), 'x'.repeat(4_096)].map((token) => ({ token }))),
    expected: [MALFORMED, MALFORMED, 'token_invalid'],
  },
  {
    sentence: 'a name is 1 to 64 characters, not counting white space at its ends',
    attempt: joiningEach(
      [
        'x'.repeat(64),
        `  ${'x'.repeat(64)}  `,
        EMOJI.repeat(64),
        'x'.repeat(65),
        EMOJI.repeat(65),
        '',
        '   ',
      ].map((displayName) => ({ displayName })),
    ),
    expected: ['ok', 'ok', 'ok', MALFORMED, MALFORMED, MALFORMED, MALFORMED],
  },
  {
    sentence:
      'a name has no control characters (C0 and C1, tab and line ends among them) and no bidirectional overrides',
    attempt: joiningEach(
      ['a\rb', 'a\u0000b', 'a\u007fb', 'a\tb', 'a\nb', 'a\u0085b', 'a\u009fb', 'a\u2028b', 'a\u202eb'].map(
        (displayName) => ({ displayName }),
      ),
    ),
    expected: Array.from({ length: 9 }, () => MALFORMED),
  },
  {
    sentence: 'the name of the token wins over displayName, and without either it is Guest',
    attempt: async (strangers) => {
      const named = await strangers.join({ displayName: 'Mine' }, { name: 'Hers' });
      const nameless = await strangers.join();
      const own = await strangers.join({ displayName: 'Mine' });
      return [named, nameless, own].map(({ session }) => session['displayName']);
    },
    expected: ['Hers', 'Guest', 'Mine'],
  },
  {
    sentence: 'a session key is a point of P-256, which the join checks',
    attempt: joiningEach(
      [
        POINT,
        undefined,
        {},
        { ...POINT, crv: 'P-384' },
        { ...POINT, x: POINT.x.slice(1) },
        { ...POINT, x: POINT.y },
        { ...POINT, y: 'A'.repeat(43) },
      ].map((sessionKey) => ({ sessionKey })),
    ),
    expected: ['ok', ...Array.from({ length: 6 }, () => MALFORMED)],
  },
  {
    sentence: 'roundTrips are up to 16, of 0 to 60,000 ms each',
    attempt: joiningEach([
      roundTrips(16),
      roundTrips(17),
      roundTrips(1, 60_000),
      roundTrips(1, 60_001),
      roundTrips(1, -1),
    ]),
    expected: ['ok', MALFORMED, 'ok', MALFORMED, MALFORMED],
  },
  {
    sentence:
      'publish requests a sending transport, which viewers and people who may publish nothing never get',
    attempt: async (strangers) => {
      const media = await strangers.media({ publish: true });
      const people = [
        await strangers.join({ media }),
        await strangers.join(),
        await strangers.join({ media }, { role: 'viewer' }),
        await strangers.join({ media }, { publish: [] }),
      ];
      return people.map((person) => person.media['sendTransport'] !== undefined);
    },
    expected: [true, false, false, false],
  },
  {
    sentence:
      'a repeated join on another connection gives the same peer and transports, and the older one gets bye with replaced',
    attempt: async (strangers) => {
      const payload = await strangers.joinPayload();
      const [older, newer] = [await strangers.connect(0), await strangers.connect(1)];
      const first = await older.call('join', payload);
      const second = await newer.call('join', payload);
      const bye = await older.notice('bye');
      await older.until('the edge to close', () => older.isClosed);
      const transportOf = ({ media }: Fields) => fields(fields(media)['receiveTransport'])['id'];
      return [
        fields(first['session'])['peerId'] === fields(second['session'])['peerId'],
        transportOf(first) === transportOf(second),
        fields(second['room'])['peerCount'],
        bye['code'],
      ];
    },
    expected: [true, true, 1, 'replaced'],
  },
  {
    sentence: 'a join with another key, or another requestId, is another person',
    attempt: async (strangers) => {
      const payload = await strangers.joinPayload();
      const enter = async (changes: Fields) =>
        (await strangers.connect()).call('join', { ...payload, ...changes });
      await enter({});
      await enter({ sessionKey: (await SessionKey.make()).jwk });
      return fields((await enter({ requestId: randomUUID() }))['room'])['peerCount'];
    },
    expected: 3,
  },
  {
    sentence:
      'a resume names an event id of at most 19 digits in each number, and an id that the room never had gives a snapshot',
    attempt: async (strangers) => [
      await resumingEach(
        [
          `${'1'.repeat(20)}-0`,
          `0-${'1'.repeat(21)}`,
          '5',
          '',
          'x-y',
          '-1-0',
          `${'9'.repeat(19)}-${'9'.repeat(19)}`,
        ].map((lastEventId) => ({ lastEventId })),
      )(strangers),
      await (async () => {
        const person = await strangers.join();
        const client = await strangers.connect();
        const resumed = await client.call(
          'resume',
          await strangers.resumePayload(person, client, { lastEventId: '5-5' }),
        );
        return fields(resumed['catchUp'])['type'];
      })(),
    ],
    expected: [[...Array.from({ length: 6 }, () => MALFORMED), 'ok'], 'snapshot'],
  },
  {
    sentence:
      'a proof is 86 base64url characters, by the key of the session, over this connection and this token',
    attempt: async (strangers) => {
      const wrong = await resumingEach([{ proof: 'A'.repeat(86) }, { proof: 'A'.repeat(85) }, { proof: '' }])(
        strangers,
      );
      const person = await strangers.join();
      const [first, second] = [await strangers.connect(), await strangers.connect()];
      const recorded = await strangers.resumePayload(person, first);
      return [wrong, await second.codeOf('resume', recorded)];
    },
    expected: [['proof_invalid', MALFORMED, MALFORMED], 'proof_invalid'],
  },
  {
    sentence: 'a resume with another token, of another room, or of a session that has left',
    attempt: async (strangers) => {
      const person = await strangers.join();
      const attempt = async (changes: Fields) => {
        const client = await strangers.connect();
        return client.codeOf('resume', await strangers.resumePayload(person, client, changes));
      };
      const answers = [
        await attempt({ sessionToken: 'not a token' }),
        await attempt({ sessionToken: strangers.token({ room: person.session['roomId'] }) }),
        await attempt({ roomId: 'elsewhere' }),
      ];
      await person.client.call('leave', {});
      return [...answers, await attempt({})];
    },
    expected: [expectOneOf(MALFORMED, 'token_invalid'), 'token_invalid', 'token_wrong_room', 'session_gone'],
  },
  {
    sentence: 'mediaAlive is false for an epoch that the client does not have',
    attempt: async (strangers) => {
      const person = await strangers.join();
      const client = await strangers.connect();
      const resumed = await client.call(
        'resume',
        await strangers.resumePayload(person, client, { epoch: 5 }),
      );
      return resumed['mediaAlive'];
    },
    expected: false,
  },
  {
    sentence: 'session.confirm takes a token of this session only',
    attempt: async (strangers) => {
      const [ann, bob] = [await strangers.join(), await strangers.join()];
      const confirm = async (sessionToken: unknown) => ann.client.codeOf('session.confirm', { sessionToken });
      return [await confirm(ann.session['sessionToken']), await confirm(bob.session['sessionToken'])];
    },
    expected: ['ok', 'token_invalid'],
  },
  {
    sentence: 'after leave another join may follow on the same connection, and a second leave is not allowed',
    attempt: async (strangers) => {
      const { client } = await strangers.join();
      const answers = [await client.codeOf('leave', {}), await client.codeOf('leave', {})];
      return [...answers, await client.codeOf('join', await strangers.joinPayload())];
    },
    expected: ['ok', 'out_of_order', 'ok'],
  },
  {
    sentence: 'requests may be sent without waiting for answers, up to 64 at a time',
    attempt: async (strangers) => {
      const { client } = await strangers.join();
      const pending = Array.from({ length: 65 }, () => client.codeOf('media.check', {}));
      return (await Promise.all(pending)).slice(0, 64).filter((code) => code !== 'ok');
    },
    expected: [],
  },
  { sentence: 'edge.check is answered', attempt: asking('edge.check', {}), expected: 'ok' },
  {
    sentence: 'a refused message without an acknowledgement gets a refused notice',
    attempt: async (strangers) => {
      const { client } = await strangers.join();
      client.send('42["chat.post",{}]');
      const refused = await client.notice('refused');
      return [refused['code'], refused['retryable'], typeof refused['message']];
    },
    expected: [MALFORMED, false, 'string'],
  },
  {
    sentence: 'leaving the namespace closes the connection',
    attempt: async (strangers) => {
      const client = await strangers.connect();
      client.send('41');
      await client.until('the edge to close', () => client.isClosed);
      return client.isClosed;
    },
    expected: true,
  },
];

/** Allows several codes where the page does not say which one. */
function expectOneOf(...codes: readonly string[]): { asymmetricMatch: (code: unknown) => boolean } {
  return { asymmetricMatch: (code) => codes.some((one) => one === code) };
}
