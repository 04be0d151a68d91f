import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import type { Attack } from '../attack.ts';
import { repeatUntil, repeatEachUntil } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';
import { MEETING_ROOM } from '../hostile-world.ts';
import { joinPayload, Stranger } from '../stranger.ts';
import type { StrangerOptions } from '../stranger.ts';

/** Sends each join on a connection of its own. */
function joins(
  name: string,
  does: string,
  gets: readonly string[],
  requests: (world: HostileWorld) => readonly StrangerOptions[],
): Attack {
  return {
    name,
    world: 'plain',
    description: does,
    allowedAnswers: gets,
    strike: (world, isOver) =>
      repeatEachUntil(
        isOver,
        () => requests(world),
        (options) =>
          world.onFreshConnection(async (client) => client.ask('join', await joinPayload(world, options))),
      ),
  };
}

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A join token with any header and claims, signed with HS256 and the right secret by default. */
function forge(
  world: HostileWorld,
  changes: { readonly header?: object; readonly claims?: object; readonly secret?: string },
): string {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const header = { alg: 'HS256', typ: 'JWT', kid: world.cluster.apiKey, ...changes.header };
  const claims = {
    sub: 'mallory',
    room: MEETING_ROOM,
    role: 'speaker',
    publish: ['microphone', 'camera'],
    iss: world.cluster.apiKey,
    aud: 'plenary-join',
    iat: nowSeconds,
    exp: nowSeconds + 600,
    ...changes.claims,
  };
  const signed = `${base64(header)}.${base64(claims)}`;
  const secret = changes.secret ?? world.cluster.apiSecret;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** A token with the cluster's key id, signed with an attacker's own asymmetric key. */
function foreignlySigned(world: HostileWorld): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const [header, claims] = [
    base64({ alg: 'EdDSA', kid: world.cluster.apiKey }),
    forge(world, {}).split('.')[1] ?? '',
  ];
  return `${header}.${claims}.${sign(null, Buffer.from(`${header}.${claims}`), privateKey).toString('base64url')}`;
}

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

export const JOINS: readonly Attack[] = [
  joins(
    'forged join tokens',
    'forges tokens: no algorithm, another secret, an own key, another audience, a malformed one',
    ['token_invalid', 'malformed_message'],
    (world) => [
      { token: `${base64({ alg: 'none', kid: world.cluster.apiKey })}.${forge(world, {}).split('.')[1]}.` },
      { token: forge(world, { secret: 'another secret of thirty-two letters' }) },
      { token: forge(world, { header: { kid: 'nobody' } }) },
      { token: forge(world, { header: { kid: '__proto__' } }) },
      { token: forge(world, { claims: { aud: 'plenary-session' } }) },
      { token: forge(world, { claims: { iss: 'somebody-else' } }) },
      { token: foreignlySigned(world) },
      { token: 'a.b.c' },
      { token: '' },
    ],
  ),
  joins(
    'join tokens outside their validity',
    'uses tokens that have expired, are valid for a day, or come from a clock an hour ahead',
    ['token_expired', 'token_invalid'],
    (world) => [
      { token: forge(world, { claims: { iat: nowSeconds() - 700, exp: nowSeconds() - 100 } }) },
      { token: forge(world, { claims: { iat: nowSeconds() - 700, exp: nowSeconds() + 86_400 } }) },
      { token: forge(world, { claims: { iat: nowSeconds() + 3_600, exp: nowSeconds() + 4_000 } }) },
      { token: forge(world, { claims: { exp: undefined } }) },
      { token: forge(world, { claims: { iat: undefined } }) },
      { token: forge(world, { claims: { iat: 'yesterday' } }) },
    ],
  ),
  joins(
    'dangerous display names',
    'joins under names with line ends, direction overrides, null characters and invisible text',
    ['malformed_message', 'token_invalid', 'forbidden'],
    () =>
      ['Ann\r\nv=0', 'Ann\u202egro.elpmaxe', '\u0000', '\u200b\u200b', 'Ann\u2028Bob', '\ud800'].map(
        (displayName) => ({ join: { displayName } }),
      ),
  ),
  joins(
    'invalid session keys',
    'joins with points off the curve, keys of other kinds and private keys',
    ['malformed_message', 'proof_invalid', 'message_too_large'],
    () => {
      const x = 'A'.repeat(43);
      return [
        { join: { sessionKey: { kty: 'EC', crv: 'P-256', x, y: x } } },
        { join: { sessionKey: { kty: 'EC', crv: 'P-256', x: '_'.repeat(43), y: '_'.repeat(43) } } },
        { join: { sessionKey: { kty: 'EC', crv: 'P-521', x, y: x } } },
        { join: { sessionKey: { kty: 'RSA', n: x, e: 'AQAB' } } },
        { join: { sessionKey: { kty: 'EC', crv: 'P-256', x: `${x}=`, y: x } } },
        { join: { sessionKey: null } },
      ];
    },
  ),
  {
    name: 'resumes of unknown sessions',
    world: 'plain',
    description: 'resumes 200 times with forged session tokens and proofs, from one address',
    allowedAnswers: [
      'token_invalid',
      'malformed_message',
      'session_gone',
      'proof_invalid',
      'rate_limited',
      'flooding',
      'closed',
    ],
    strike: async (world, isOver) => {
      const key = await TestSessionKey.create();
      const localAddress = world.nextAddress();
      return repeatUntil(isOver, async () => {
        const client = await world.enter({ localAddress });
        const answers: string[] = [];
        for (let count = 0; count < 20 && !client.isClosed; count += 1) {
          const sessionToken = forge(world, { claims: { aud: 'plenary-session', iss: 'cluster' } });
          answers.push(
            await client.ask('resume', {
              protocolVersion: 1,
              roomId: MEETING_ROOM,
              sessionToken,
              proof: await key.prove('nonce', sessionToken),
              lastEventId: '1-0',
            }),
          );
        }
        await client.close();
        return answers;
      });
    },
  },
  {
    name: 'a stolen session token',
    world: 'plain',
    description: 'resumes another person’s session with its overheard token and another key',
    allowedAnswers: ['proof_invalid', 'rate_limited'],
    strike: async (world, isOver) => {
      const victim = await Stranger.join(world, { roomId: 'elsewhere' });
      const thief = await TestSessionKey.create();
      const { sessionToken } = victim.joined.session;
      const answers = await repeatUntil(isOver, () =>
        world.onFreshConnection(async (client) =>
          client.ask('resume', {
            protocolVersion: 1,
            roomId: 'elsewhere',
            sessionToken,
            proof: await thief.prove('a nonce', sessionToken),
            lastEventId: victim.joined.room.lastEventId,
          }),
        ),
      );
      await victim.leave();
      return answers;
    },
  },
  {
    name: 'one join on many connections at once',
    world: 'plain',
    description: 'sends the same join on twelve connections at once, again and again',
    allowedAnswers: ['ok', 'closed', 'rate_limited'],
    strike: async (world, isOver) =>
      repeatUntil(isOver, async () => {
        const clients = await Promise.all(
          Array.from({ length: 12 }, async () => world.enter({ localAddress: world.nextAddress() })),
        );
        const join = await joinPayload(world, { roomId: 'elsewhere' });
        const answers = await Promise.all(clients.map(async (client) => client.ask('join', join)));
        await Promise.all(clients.map(async (client) => client.close()));
        return answers;
      }),
  },
  {
    name: 'joins and leaves without end',
    world: 'plain',
    description: 'joins the meeting and leaves it again, on one connection, as fast as possible',
    allowedAnswers: ['ok', 'rate_limited', 'flooding', 'closed', 'limit_reached'],
    strike: async (world, isOver) => {
      const localAddress = world.nextAddress();
      return repeatUntil(isOver, async () => {
        const client = await world.enter({ localAddress });
        const answers: string[] = [];
        for (let count = 0; count < 20 && !client.isClosed && !isOver(); count += 1) {
          answers.push(await client.ask('join', await joinPayload(world)));
          if (answers.at(-1) === 'ok') answers.push(await client.ask('leave', {}));
        }
        await client.close();
        return answers;
      });
    },
  },
  {
    name: 'one join token for a crowd',
    world: 'plain',
    description: 'joins 60 times with one and the same token',
    allowedAnswers: ['ok', 'joined_too_often', 'rate_limited'],
    strike: async (world) => {
      const token = world.token({ roomId: 'crowd', subject: 'everybody' });
      const answers: string[] = [];
      const clients = [];
      for (let count = 0; count < 60; count += 1) {
        const client = await world.enter({ localAddress: world.nextAddress() });
        answers.push(await client.ask('join', await joinPayload(world, { roomId: 'crowd', token })));
        clients.push(client);
      }
      if (!answers.some((answer) => answer !== 'ok')) answers.push('the whole crowd was let in');
      for (const client of clients) {
        await client.ask('leave', {});
        await client.close();
      }
      return answers;
    },
  },
  {
    name: 'a crowd of connections from one address',
    world: 'plain',
    description: 'opens connections that join nothing, from one address, and holds them',
    allowedAnswers: ['ok', 'refused 403', 'refused 429', 'refused 503', 'closed'],
    strike: async (world, isOver) => {
      const localAddress = world.nextAddress();
      return holdConnections(world, isOver, () => localAddress, 1_500);
    },
  },
  {
    name: 'a crowd of connections from a hundred addresses',
    world: 'plain',
    description: 'opens connections that join nothing, from a hundred addresses, and holds them',
    allowedAnswers: ['ok', 'refused 403', 'refused 429', 'refused 503', 'closed'],
    strike: async (world, isOver) => {
      const addresses = Array.from({ length: 100 }, () => world.nextAddress());
      return holdConnections(world, isOver, (count) => addresses[count % 100] ?? '127.0.0.1', 1_500);
    },
  },
];

async function holdConnections(
  world: HostileWorld,
  isOver: () => boolean,
  addressOf: (count: number) => string,
  most: number,
): Promise<readonly string[]> {
  const answers = new Set<string>();
  const held = [];
  for (let count = 0; count < most && !isOver(); count += 1) {
    try {
      held.push(await world.connect({ localAddress: addressOf(count) }));
      answers.add('ok');
    } catch (error) {
      answers.add(error instanceof Error ? error.message : String(error));
    }
  }
  await Promise.all(held.map((client) => client.close()));
  return [...answers];
}
