import { randomUUID } from 'node:crypto';
import { asking, each, joining } from './claim.ts';
import type { Claim } from './claim.ts';
import { fields, SessionKey } from './page-client.ts';
import type { Fields } from './page-client.ts';
import type { Strangers } from './stranger.ts';

const MALFORMED = 'malformed_message';
/** One character, and two UTF-16 units. */
const EMOJI = '🎉';
/** The curve's base point: a key as good as any. */
const POINT = {
  kty: 'EC',
  crv: 'P-256',
  x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
  y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
};

const joiningEach = (changes: readonly Fields[]) =>
  each(changes, async (change, strangers: Strangers) => joining(change)(strangers));

/** How an edge answers who resumes in this way a session that was just begun. */
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
    of: async (strangers) => {
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
    is: Array.from({ length: 5 }, () => MALFORMED),
  },
  {
    sentence: 'a name that there is not is unknown_message',
    of: each(['no.such', 'constructor', '__proto__'], async (name, strangers: Strangers) =>
      (await strangers.connect()).codeOf(name, {}),
    ),
    is: ['unknown_message', 'unknown_message', 'unknown_message'],
  },
  {
    sentence: 'fields that are not listed are ignored',
    of: async (strangers) => {
      const client = await strangers.connect();
      return client.codeOf('join', await strangers.joinPayload({ later: { a: 1 }, another: null }));
    },
    is: 'ok',
  },
  {
    sentence: 'a payload is at most 32,768 long',
    of: async (strangers) => {
      const payload = await strangers.joinPayload({ padding: '' });
      const room = 32_768 - JSON.stringify(payload).length;
      const answers: string[] = [];
      for (const length of [room, room + 1]) {
        const client = await strangers.connect();
        answers.push(await client.codeOf('join', { ...payload, padding: 'x'.repeat(length) }));
      }
      return answers;
    },
    is: ['ok', 'message_too_large'],
  },
  {
    sentence: 'outside a room only join and resume fit',
    of: each(
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
    is: Array.from({ length: 9 }, () => 'out_of_order'),
  },
  {
    sentence: 'inside a room join and resume do not fit',
    of: async (strangers) => {
      const person = await strangers.join();
      return [
        await person.client.codeOf('join', await strangers.joinPayload()),
        await person.client.codeOf('resume', await strangers.resumePayload(person, person.client)),
      ];
    },
    is: ['out_of_order', 'out_of_order'],
  },
  {
    sentence: 'while a join is under way only its own repeat fits, and gives the same answer',
    of: async (strangers) => {
      const client = await strangers.connect();
      const payload = await strangers.joinPayload();
      const [first, repeat, other] = await Promise.all([
        client.call('join', payload),
        client.call('join', payload),
        client.codeOf('join', { ...payload, requestId: 'other' }),
      ]);
      return [JSON.stringify(first) === JSON.stringify(repeat), other];
    },
    is: [true, 'out_of_order'],
  },
  {
    sentence: 'a version that the edge does not serve is protocol_version, at the join and at the resume',
    of: async (strangers) => [
      await joiningEach([{ protocolVersion: 0 }, { protocolVersion: 2 }, { protocolVersion: -1 }])(strangers),
      await resumingEach([{ protocolVersion: 2 }])(strangers),
      await joiningEach([{ protocolVersion: '1' }, { protocolVersion: 1.5 }, { protocolVersion: null }])(
        strangers,
      ),
    ],
    is: [
      ['protocol_version', 'protocol_version', 'protocol_version'],
      ['protocol_version'],
      [MALFORMED, MALFORMED, MALFORMED],
    ],
  },
  {
    sentence: 'an id is made of letters, digits, _ and -, and a requestId of 64 at most',
    of: joiningEach(
      ['x'.repeat(64), 'aZ09_-', 'x'.repeat(65), '', 'a b', 'ä', 'a/b', 'a\n', 7].map((requestId) => ({
        requestId,
      })),
    ),
    is: ['ok', 'ok', ...Array.from({ length: 7 }, () => MALFORMED)],
  },
  {
    sentence: 'a roomId is an id of 64 at most',
    of: joiningEach(['x'.repeat(64), 'x'.repeat(65), 'a b', ''].map((roomId) => ({ roomId }))),
    is: ['ok', MALFORMED, MALFORMED, MALFORMED],
  },
  {
    sentence: 'the roomId must be the room of the token',
    of: async (strangers) => joining({ token: strangers.token({ room: 'elsewhere' }) })(strangers),
    is: 'token_wrong_room',
  },
  {
    sentence: 'a token is 1 to 4096 long, and one that is none is token_invalid',
    of: joiningEach(['', 'x'.repeat(4_097), 'x'.repeat(4_096)].map((token) => ({ token }))),
    is: [MALFORMED, MALFORMED, 'token_invalid'],
  },
  {
    sentence: 'a name is 1 to 64 characters, not counting white space at its ends',
    of: joiningEach(
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
    is: ['ok', 'ok', 'ok', MALFORMED, MALFORMED, MALFORMED, MALFORMED],
  },
  {
    sentence:
      'a name has no control characters (C0 and C1, tab and line ends among them) and no bidirectional overrides',
    of: joiningEach(
      ['a\rb', 'a\u0000b', 'a\u007fb', 'a\tb', 'a\nb', 'a\u0085b', 'a\u009fb', 'a\u2028b', 'a\u202eb'].map(
        (displayName) => ({ displayName }),
      ),
    ),
    is: Array.from({ length: 9 }, () => MALFORMED),
  },
  {
    sentence: 'the name of the token wins over displayName, and without either it is Guest',
    of: async (strangers) => {
      const named = await strangers.join({ displayName: 'Mine' }, { name: 'Hers' });
      const nameless = await strangers.join();
      const own = await strangers.join({ displayName: 'Mine' });
      return [named, nameless, own].map(({ session }) => session['displayName']);
    },
    is: ['Hers', 'Guest', 'Mine'],
  },
  {
    sentence: 'a session key is a point of P-256, found out at the join',
    of: joiningEach(
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
    is: ['ok', ...Array.from({ length: 6 }, () => MALFORMED)],
  },
  {
    sentence: 'roundTrips are up to 16, of 0 to 60,000 ms each',
    of: joiningEach([
      roundTrips(16),
      roundTrips(17),
      roundTrips(1, 60_000),
      roundTrips(1, 60_001),
      roundTrips(1, -1),
    ]),
    is: ['ok', MALFORMED, 'ok', MALFORMED, MALFORMED],
  },
  {
    sentence:
      'publish asks for a transport for sending, which a viewer and who may publish nothing never get',
    of: async (strangers) => {
      const media = await strangers.media({ publish: true });
      const people = [
        await strangers.join({ media }),
        await strangers.join(),
        await strangers.join({ media }, { role: 'viewer' }),
        await strangers.join({ media }, { publish: [] }),
      ];
      return people.map((person) => person.media['sendTransport'] !== undefined);
    },
    is: [true, false, false, false],
  },
  {
    sentence:
      'a repeated join on another connection gives the same peer and transports, and the older one is told bye with replaced',
    of: async (strangers) => {
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
    is: [true, true, 1, 'replaced'],
  },
  {
    sentence: 'a join with another key, or another requestId, is another person',
    of: async (strangers) => {
      const payload = await strangers.joinPayload();
      const enter = async (changes: Fields) =>
        (await strangers.connect()).call('join', { ...payload, ...changes });
      await enter({});
      await enter({ sessionKey: (await SessionKey.make()).jwk });
      return fields((await enter({ requestId: randomUUID() }))['room'])['peerCount'];
    },
    is: 3,
  },
  {
    sentence:
      'a resume names an event id of at most 19 digits in each number, and a room it was never in gives a snapshot',
    of: async (strangers) => [
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
    is: [[...Array.from({ length: 6 }, () => MALFORMED), 'ok'], 'snapshot'],
  },
  {
    sentence:
      'a proof is 86 base64url characters, by the key of the session, over this connection and this token',
    of: async (strangers) => {
      const wrong = await resumingEach([{ proof: 'A'.repeat(86) }, { proof: 'A'.repeat(85) }, { proof: '' }])(
        strangers,
      );
      const person = await strangers.join();
      const [first, second] = [await strangers.connect(), await strangers.connect()];
      const recorded = await strangers.resumePayload(person, first);
      return [wrong, await second.codeOf('resume', recorded)];
    },
    is: [['proof_invalid', MALFORMED, MALFORMED], 'proof_invalid'],
  },
  {
    sentence: 'a resume with another token, of another room, or of a session that was left',
    of: async (strangers) => {
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
    is: [expectOneOf(MALFORMED, 'token_invalid'), 'token_invalid', 'token_wrong_room', 'session_gone'],
  },
  {
    sentence: 'mediaAlive is false for an epoch that the client does not have',
    of: async (strangers) => {
      const person = await strangers.join();
      const client = await strangers.connect();
      const resumed = await client.call(
        'resume',
        await strangers.resumePayload(person, client, { epoch: 5 }),
      );
      return resumed['mediaAlive'];
    },
    is: false,
  },
  {
    sentence: 'session.confirm takes a token of this session only',
    of: async (strangers) => {
      const [ann, bob] = [await strangers.join(), await strangers.join()];
      const confirm = async (sessionToken: unknown) => ann.client.codeOf('session.confirm', { sessionToken });
      return [await confirm(ann.session['sessionToken']), await confirm(bob.session['sessionToken'])];
    },
    is: ['ok', 'token_invalid'],
  },
  {
    sentence: 'after leave another join may follow on the same connection, and a second leave does not fit',
    of: async (strangers) => {
      const { client } = await strangers.join();
      const answers = [await client.codeOf('leave', {}), await client.codeOf('leave', {})];
      return [...answers, await client.codeOf('join', await strangers.joinPayload())];
    },
    is: ['ok', 'out_of_order', 'ok'],
  },
  {
    sentence: 'requests may be sent without waiting for answers, up to 64 at a time',
    of: async (strangers) => {
      const { client } = await strangers.join();
      const asked = Array.from({ length: 65 }, () => client.codeOf('media.check', {}));
      return (await Promise.all(asked)).slice(0, 64).filter((code) => code !== 'ok');
    },
    is: [],
  },
  { sentence: 'edge.check is answered', of: asking('edge.check', {}), is: 'ok' },
  {
    sentence: 'a message that asked for no acknowledgement and was refused is told by refused',
    of: async (strangers) => {
      const { client } = await strangers.join();
      client.send('42["chat.post",{}]');
      const refused = await client.notice('refused');
      return [refused['code'], refused['retryable'], typeof refused['message']];
    },
    is: [MALFORMED, false, 'string'],
  },
  {
    sentence: 'goodbye closes the connection',
    of: async (strangers) => {
      const client = await strangers.connect();
      client.send('41');
      await client.until('the edge to close', () => client.isClosed);
      return client.isClosed;
    },
    is: true,
  },
];

/** For what the page leaves open. */
function expectOneOf(...codes: readonly string[]): { asymmetricMatch: (code: unknown) => boolean } {
  return { asymmetricMatch: (code) => codes.some((one) => one === code) };
}
