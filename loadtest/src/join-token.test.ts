import { createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { makeJoinToken } from './join-token.ts';

it('signs a token as the protocol describes it, valid for at most ten minutes', () => {
  const token = makeJoinToken({ apiKey: 'key', apiSecret: 'secret' }, { subject: 'bot-1', roomId: 'room' });
  const [header = '', claims = '', signature] = token.split('.');
  const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
  expect(read(header)).toEqual({ alg: 'HS256', typ: 'JWT', kid: 'key' });
  expect(read(claims)).toMatchObject({
    sub: 'bot-1',
    room: 'room',
    role: 'speaker',
    iss: 'key',
    aud: 'plenary-join',
  });
  const { iat, exp } = read(claims) as { iat: number; exp: number };
  expect(exp - iat).toBe(600);
  expect(signature).toBe(createHmac('sha256', 'secret').update(`${header}.${claims}`).digest('base64url'));
});
