import { randomUUID } from 'node:crypto';
import { each } from './claim.ts';
import type { Claim } from './claim.ts';
import { fields, joinToken, SessionKey } from './page-client.ts';
import type { Application, Fields } from './page-client.ts';
import type { PageParticipant, Strangers } from './stranger.ts';

/** One character, but two UTF-16 units. */
const EMOJI = '🎉';
const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

/** A token's claims, and the expected answer: `ok`, or reason and claim. */
type Try = readonly [claims: Fields, answer: string, header?: Fields];

/** The answers to a token with these claims, signed in each supported way. */
async function answersOf(strangers: Strangers, [claims, , header]: Try): Promise<string[]> {
  const answers: string[] = [];
  for (const application of strangers.applications) {
    const room = typeof claims['room'] === 'string' ? claims['room'] : `room-${randomUUID()}`;
    const token = joinToken(application, { room, ...claims }, header);
    const client = await strangers.connect();
    const answer = await client.request('join', {
      ...(await strangers.joinPayload({ roomId: room })),
      token,
    });
    const { reason, claim } = answer.ok ? { reason: 'ok', claim: undefined } : fields(answer.error.detail);
    answers.push([reason, claim].filter((part) => part !== undefined).join(' '));
    client.close();
  }
  return answers;
}

/** A claim of the page about tokens, tried with every kind of signature. */
const tokens = (sentence: string, tries: () => readonly Try[]): Claim => ({
  sentence,
  attempt: async (strangers) => {
    const wrong: unknown[] = [];
    for (const one of tries()) {
      const answers = await answersOf(strangers, one);
      const [claims, expected, header] = one;
      if (answers.some((answer) => answer !== expected)) wrong.push({ claims, header, expected, answers });
    }
    return wrong;
  },
  expected: [],
});

/** Rejoins with a person's rejoin token. */
async function comeBack(
  strangers: Strangers,
  person: PageParticipant,
  changes: Fields = {},
): Promise<Fields | string> {
  const client = await strangers.connect(1);
  const token = String(changes['token'] ?? person.session['rejoinToken']);
  const answer = await client.request('join', {
    ...(await strangers.joinPayload({ roomId: person.session['roomId'], sessionKey: person.key.jwk })),
    token,
    proof: await person.key.prove(client.connectionId, token, 'plenary-rejoin'),
    ...changes,
  });
  return answer.ok ? answer.data : answer.error.code;
}

const signedBy = (strangers: Strangers, index: number): Application => {
  const application = strangers.applications[index];
  if (application === undefined) throw new Error(`There is no application ${index}.`);
  return application;
};

export const TOKEN_CLAIMS: readonly Claim[] = [
  tokens('a missing claim is named in the refusal', () => [
    [{}, 'ok'],
    ...['iss', 'aud', 'iat', 'exp', 'sub', 'role', 'publish'].map((claim): Try => [
      { [claim]: undefined },
      `missing ${claim}`,
    ]),
  ]),
  tokens('clocks may differ by 30 s, and a token lives for 600 s at most', () => {
    const now = nowSeconds();
    return [
      [{ iat: now + 20, exp: now + 100 }, 'ok'],
      [{ iat: now + 95, exp: now + 200 }, 'in_future iat'],
      [{ nbf: now + 20 }, 'ok'],
      [{ nbf: now + 95 }, 'in_future nbf'],
      [{ iat: now - 100, exp: now - 5 }, 'ok'],
      [{ iat: now - 200, exp: now - 40 }, 'expired exp'],
      [{ iat: now, exp: now + 601 }, 'lives_too_long exp'],
      [{ iat: now - 640, exp: now + 100 }, 'too_old iat'],
    ];
  }),
  tokens('a malformed claim is named in the refusal', () => [
    ...['iat', 'exp', 'nbf'].flatMap((claim) =>
      ['1', null, true, [], '2026-11-30'].map((value): Try => [{ [claim]: value }, `malformed ${claim}`]),
    ),
    [{ aud: 'elsewhere' }, 'wrong_audience aud'],
    ...['', 'a\nb', 'a\u202eb', 5, null].map((sub): Try => [{ sub }, 'malformed sub']),
    [{ sub: EMOJI.repeat(128) }, 'ok'],
    [{ sub: EMOJI.repeat(129) }, 'too_long sub'],
    [{ name: EMOJI.repeat(64) }, 'ok'],
    [{ name: EMOJI.repeat(65) }, 'too_long name'],
    ...['', ' ', '\u200b', 'a\tb', 'a\u0085b', 5].map((name): Try => [{ name }, 'malformed name']),
    ...['Host', 'admin', '', 5, '__proto__'].map((role): Try => [{ role }, 'malformed role']),
    [{ publish: ['cam'] }, 'malformed publish.0'],
    [{ publish: 'camera' }, 'malformed publish'],
    [{ publish: Array.from({ length: 8 }, () => 'camera') }, 'ok'],
    [{ publish: Array.from({ length: 9 }, () => 'camera') }, 'too_long publish'],
    [{ room: 'x'.repeat(64) }, 'ok'],
    [{ datacenter: 'x'.repeat(32) }, 'ok'],
    [{ datacenter: 'x'.repeat(33) }, 'too_long datacenter'],
    [{ guest: 'yes' }, 'malformed guest'],
    [{ later: { a: [1] } }, 'ok'],
  ]),
  tokens('typ is JWT in letters of either case, or absent, and kid names a known key', () => [
    ...['JWT', 'jwt', 'Jwt', undefined].map((typ): Try => [{}, 'ok', { typ }]),
    ...['at+jwt', 'JOSE', '', 1, null].map((typ): Try => [{}, 'malformed typ', { typ }]),
    ...['other', '__proto__', 'constructor', 5, undefined].map((kid): Try => [
      {},
      'unknown_key kid',
      { kid },
    ]),
  ]),
  tokens('an algorithm that is not the key’s is wrong_algorithm', () => [
    [{}, 'wrong_algorithm alg', { alg: 'none' }],
    [{}, 'wrong_algorithm alg', { alg: 'HS512' }],
    [{}, 'wrong_algorithm alg', { alg: 'RS256' }],
  ]),
  {
    sentence:
      'Ed25519 is taken as well, iss must be the API key that signed, and keys are of their application alone',
    attempt: async (strangers) => {
      const [secret, ec, ed] = [0, 1, 2].map((index) => signedBy(strangers, index));
      const answerOf = async (application: Application | undefined, claims: Fields, header: Fields = {}) => {
        if (application === undefined) return 'nobody';
        const room = `room-${randomUUID()}`;
        const token = joinToken(application, { room, ...claims }, header);
        const payload = { ...(await strangers.joinPayload({ roomId: room })), token };
        const answer = await (await strangers.connect()).request('join', payload);
        return answer.ok ? 'ok' : fields(answer.error.detail)['reason'];
      };
      return [
        await answerOf(ed, {}, { alg: 'Ed25519' }),
        await answerOf(ed, {}, { kid: ec?.keyId }),
        await answerOf(secret, {}, { kid: ed?.keyId, alg: 'EdDSA' }),
        await answerOf(secret, { iss: 'school' }),
        await answerOf(ec, { iss: secret?.issuer }),
      ];
    },
    expected: ['ok', 'wrong_algorithm', 'unknown_key', 'wrong_issuer', 'unknown_key'],
  },
  {
    sentence: 'rooms of one name of different API keys have nothing in common',
    attempt: async (strangers) => {
      const [room, sub] = [`room-${randomUUID()}`, 'the-same'];
      const counts: unknown[] = [];
      for (const application of strangers.applications) {
        const token = joinToken(application, { room, sub });
        const joined = await (
          await strangers.connect()
        ).call('join', {
          ...(await strangers.joinPayload({ roomId: room })),
          token,
        });
        counts.push(fields(joined['room'])['peerCount']);
      }
      return counts;
    },
    // The last two keys belong to one application.
    expected: [1, 1, 2],
  },
  {
    sentence: 'a person may be in a room five times; the sixth join is joined_too_often until one has left',
    attempt: async (strangers) => {
      const [room, sub] = [`room-${randomUUID()}`, 'often'];
      const people: PageParticipant[] = [];
      for (let count = 0; count < 5; count += 1)
        people.push(await strangers.join({ roomId: room }, { sub }, count % 2));
      const again = async () =>
        (await strangers.connect()).codeOf('join', await strangers.joinPayload({ roomId: room }, { sub }));
      const sixth = await again();
      await people[0]?.client.call('leave', {});
      return [sixth, await again()];
    },
    expected: ['joined_too_often', 'ok'],
  },
  {
    sentence:
      'a token may be used for several joins, and a repeated join with a fresh token of the same sub is the same peer',
    attempt: async (strangers) => {
      const roomId = `room-${randomUUID()}`;
      const payload = await strangers.joinPayload({ roomId }, { sub: 'ann' });
      const peerOf = async (changes: Fields): Promise<unknown> => {
        const joined = await (await strangers.connect()).call('join', { ...payload, ...changes });
        return fields(joined['session'])['peerId'];
      };
      const first = await peerOf({});
      const fresh = strangers.token({
        room: roomId,
        sub: 'ann',
        iat: nowSeconds() - 5,
        exp: nowSeconds() + 500,
      });
      const other = strangers.token({ room: roomId, sub: 'bob' });
      return [
        (await peerOf({ requestId: randomUUID() })) === first,
        (await peerOf({ token: fresh })) === first,
        (await peerOf({ token: other })) === first,
      ];
    },
    expected: [false, true, false],
  },
  {
    sentence: 'guests get no rejoin token; the claim guest marks them, not the spelling of sub',
    attempt: each(
      [{}, { sub: `guest-${randomUUID()}` }, { guest: false }, { guest: true }],
      async (claims: Fields, strangers: Strangers) =>
        (await strangers.join({}, claims)).session['rejoinToken'] !== undefined,
    ),
    expected: [true, true, true, false],
  },
  {
    sentence:
      'a rejoin token lets the same person join again, more than once, with the same rights and another name',
    attempt: async (strangers) => {
      const person = await strangers.join({ displayName: 'Before' }, { role: 'moderator' });
      await person.client.call('leave', {});
      const [first, second] = [
        await comeBack(strangers, person, { displayName: 'After' }),
        await comeBack(strangers, person),
      ].map((joined) => fields(fields(joined)['session']));
      return [
        first?.['displayName'],
        first?.['role'],
        first?.['peerId'] === person.session['peerId'],
        typeof second?.['rejoinToken'],
      ];
    },
    expected: ['After', 'moderator', false, 'string'],
  },
  {
    sentence: 'a rejoin token is refused without its key, in another room, and for another use',
    attempt: async (strangers) => {
      const person = await strangers.join();
      const other = await SessionKey.make();
      return [
        await comeBack(strangers, { ...person, key: other }),
        await comeBack(strangers, person, { sessionKey: other.jwk }),
        await comeBack(strangers, person, { roomId: 'elsewhere' }),
        await comeBack(strangers, person, { proof: undefined }),
        await comeBack(strangers, person, { proof: 'x' }),
        await comeBack(strangers, person, { token: person.session['sessionToken'] }),
        await comeBack(strangers, person, { token: strangers.token({ room: person.session['roomId'] }) }),
      ];
    },
    expected: [
      'proof_invalid',
      'proof_invalid',
      'token_wrong_room',
      'token_invalid',
      'malformed_message',
      'token_invalid',
      'token_invalid',
    ],
  },
];
