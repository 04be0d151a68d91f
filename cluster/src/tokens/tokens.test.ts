import { createHmac } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { PlenaryError } from '../errors.ts';
import type { Secrets } from '../keys/derive.ts';
import { KeyRing } from '../keys/key-ring.ts';
import { peer, roomName, tenant } from '../testing/samples.ts';
import { TestSessionKey } from '../testing/session-key.ts';
import { JoinKeys } from './join-keys.ts';
import { signJoinToken, verifyJoinToken } from './join-token.ts';
import { verifyResumeProof } from './resume-proof.ts';
import { signSessionToken, verifySessionToken } from './session-token.ts';
import { keyOfSecret } from './signed.ts';
import { CLOCK_LEEWAY_SECONDS } from './token-fault.ts';

const SECRET = 'a-secret-of-more-than-thirty-two-characters';
const KEYS = new JoinKeys(new Map([['key-1', [SECRET]]]));
const GRANTS = {
  sub: 'ann',
  room: roomName('standup'),
  role: 'speaker' as const,
  publish: ['camera' as const],
};

async function custom(claims: Record<string, unknown>, issuedAt: number, expiresAt: number): Promise<string> {
  return new SignJWT({ ...GRANTS, ...claims })
    .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
    .setIssuer('key-1')
    .setAudience('plenary-join')
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(keyOfSecret(SECRET));
}

describe('tokens', () => {
  const nowSeconds = Math.floor(Date.now() / 1_000);

  it('[TK14] a verified join token yields its grants', async () => {
    const token = await signJoinToken('key-1', SECRET, { ...GRANTS, name: 'Ann' });
    expect(await verifyJoinToken(token, KEYS)).toMatchObject({
      grants: { ...GRANTS, name: 'Ann' },
      tenantId: 'key-1',
    });
  });

  it('[TK1] an expired token, and one older than ten minutes whatever its exp, are refused as expired', async () => {
    const expired = await custom({}, nowSeconds - 100, nowSeconds - 31);
    await expect(verifyJoinToken(expired, KEYS)).rejects.toMatchObject({ code: 'token_expired' });
    const longLived = await custom({}, nowSeconds - 700, nowSeconds + 100_000);
    await expect(verifyJoinToken(longLived, KEYS)).rejects.toMatchObject({ code: 'token_expired' });
  });

  it('[TK2] a token with another algorithm, no signature, a changed claim, or an unknown key is invalid', async () => {
    const token = await signJoinToken('key-1', SECRET, GRANTS);
    const [header = '', payload = '', signature = ''] = token.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const foreign = await signJoinToken('key-1', `${SECRET}-other`, GRANTS);
    const unknown = await signJoinToken('key-2', SECRET, GRANTS);
    const changed = Buffer.from(JSON.stringify({ ...GRANTS, role: 'host' })).toString('base64url');
    for (const bad of [
      `${none}.${payload}.`,
      `${header}.${changed}.${signature}`,
      foreign,
      unknown,
      'x',
      '',
    ]) {
      await expect(verifyJoinToken(bad, KEYS)).rejects.toMatchObject({ code: 'token_invalid' });
    }
  });

  const faultOf = async (token: string): Promise<unknown> =>
    verifyJoinToken(token, KEYS).then(
      () => 'taken',
      (fault: unknown) => (fault instanceof PlenaryError ? fault.toWire().detail : fault),
    );
  const join = async (claims: Record<string, unknown>, forSeconds = 60): Promise<unknown> =>
    faultOf(await custom(claims, nowSeconds, nowSeconds + forSeconds));

  it('[TK6] [TK12] [TK18] the error names the wrong claim, the reason, and the size of the fault', async () => {
    expect(await join({ name: 'x'.repeat(65) })).toMatchObject({ claim: 'name', reason: 'too_long' });
    expect(await join({ room: 'not a room' })).toMatchObject({ claim: 'room', reason: 'malformed' });
    expect(await join({ role: 'emperor' })).toMatchObject({ claim: 'role', reason: 'malformed' });
    for (const claim of ['sub', 'room', 'role', 'publish'])
      expect(await join({ [claim]: undefined })).toMatchObject({ claim, reason: 'missing' });
    expect(await join({ nbf: nowSeconds + 95 })).toMatchObject({ claim: 'nbf', reason: 'in_future' });
    expect(await join({}, 86_400)).toMatchObject({ claim: 'exp', reason: 'lives_too_long', seconds: 86_400 });
    const other = { claim: 'kid', reason: 'unknown_key' };
    expect(await faultOf(await signJoinToken('key-2', SECRET, GRANTS))).toMatchObject(other);
    const forged = await signJoinToken('key-1', `${SECRET}-other`, GRANTS);
    expect(await faultOf(forged)).toMatchObject({ reason: 'bad_signature' });
    expect(await faultOf('x.y.z')).toMatchObject({ reason: 'not_a_token' });
    const expired = await custom({}, nowSeconds - 300, nowSeconds - 100);
    // The test itself may take a second.
    expect(await faultOf(expired)).toMatchObject({ claim: 'exp', reason: 'expired' });
    expect(JSON.stringify(await faultOf(expired))).toMatch(/"seconds":1\d\d\b/);
    const ahead = await custom({}, nowSeconds + 90, nowSeconds + 150);
    expect(await faultOf(ahead)).toMatchObject({ claim: 'iat', reason: 'in_future' });
  });

  it('[TK6] the error names use, issuer, algorithm and missing claims', async () => {
    const make = async (
      change: (token: SignJWT) => SignJWT,
      alg = 'HS256',
      header: { typ?: string } = {},
    ): Promise<unknown> => {
      const token = new SignJWT({ ...GRANTS }).setProtectedHeader({ alg, kid: 'key-1', ...header });
      const secret = keyOfSecret(alg === 'HS256' ? SECRET : SECRET.padEnd(64, '-'));
      return faultOf(await change(token).sign(secret));
    };
    const whole = (token: SignJWT): SignJWT =>
      token.setIssuer('key-1').setAudience('plenary-join').setIssuedAt().setExpirationTime('60s');
    expect(await make(whole)).toBe('taken');
    const typed = async (typ: string): Promise<unknown> => make(whole, 'HS256', { typ });
    expect(await typed('jwt')).toBe('taken');
    expect(await typed('at+jwt')).toMatchObject({ claim: 'typ', reason: 'malformed' });
    const [, payload = ''] = (await signJoinToken('key-1', SECRET, GRANTS)).split('.');
    for (const typ of [1, null, ['JWT'], '']) {
      const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'key-1', typ })).toString('base64url');
      const signed = `${header}.${payload}`;
      const mac = createHmac('sha256', SECRET).update(signed).digest('base64url');
      expect(await faultOf(`${signed}.${mac}`)).toMatchObject({ claim: 'typ', reason: 'malformed' });
    }
    expect(await make(whole, 'HS512')).toMatchObject({ claim: 'alg', reason: 'wrong_algorithm' });
    expect(await make((token) => whole(token).setIssuer('key-2'))).toMatchObject({
      claim: 'iss',
      reason: 'wrong_issuer',
    });
    expect(await make((token) => whole(token).setAudience('elsewhere'))).toMatchObject({
      claim: 'aud',
      reason: 'wrong_audience',
    });
    expect(await make((token) => token.setIssuer('key-1').setAudience('plenary-join'))).toMatchObject({
      reason: 'missing',
    });
    expect(await make((token) => token.setAudience('plenary-join').setIssuedAt())).toMatchObject({
      reason: 'missing',
    });
  });

  it('[TK19] the detail and the message contain neither secrets nor claims, whatever the token contains', async () => {
    const spoilt = { ...GRANTS, sub: '', room: 'HIDDEN room', name: 'HIDDEN\u0000', role: 'HIDDEN' };
    const token = await custom({ ...spoilt, exp: 1e300 }, nowSeconds, nowSeconds + 60);
    const fault = await verifyJoinToken(token, KEYS).catch((thrown: unknown) => thrown);
    expect(fault).toBeInstanceOf(PlenaryError);
    expect(JSON.stringify(fault instanceof PlenaryError && fault.toWire())).not.toMatch(/HIDDEN|secret-of/);
  });

  it('[TK7] clocks may differ by half a minute, either way, and no more', async () => {
    const at = async (offsetSeconds: number): Promise<unknown> =>
      faultOf(await custom({}, nowSeconds + offsetSeconds, nowSeconds + offsetSeconds + 600));
    expect(await at(CLOCK_LEEWAY_SECONDS)).toBe('taken');
    expect(await at(-600 - CLOCK_LEEWAY_SECONDS + 5)).toBe('taken');
    expect(await at(CLOCK_LEEWAY_SECONDS + 5)).toMatchObject({ claim: 'iat', reason: 'in_future' });
    expect(await at(-600 - CLOCK_LEEWAY_SECONDS)).toMatchObject({ claim: 'exp', reason: 'expired' });
  });

  it('[TK13] a token whose grants do not fit the schema is invalid', async () => {
    const odd = await custom({ role: 'emperor' }, nowSeconds, nowSeconds + 60);
    await expect(verifyJoinToken(odd, KEYS)).rejects.toMatchObject({ code: 'token_invalid' });
  });

  it('[TK15] a token for one use is refused for another', async () => {
    const { jwk } = await TestSessionKey.create();
    const claims = { ...GRANTS, tenant: tenant('key-1'), peer: peer('p1'), cnf: { jwk }, generation: 1 };
    const keys = KeyRing.derive([SECRET], 'session-token');
    const session = await signSessionToken(keys, claims);
    expect(await verifySessionToken(keys, session)).toEqual(claims);
    await expect(
      verifyJoinToken(session, new JoinKeys(new Map([['cluster', [SECRET]]]))),
    ).rejects.toMatchObject({
      code: 'token_invalid',
    });
    const otherKeys = KeyRing.derive([`${SECRET}-other`], 'session-token');
    await expect(verifySessionToken(otherKeys, session)).rejects.toMatchObject({
      code: 'token_invalid',
    });
  });

  it('[KY2] session tokens of both secrets are accepted while the cluster changes from one to the other', async () => {
    const { jwk } = await TestSessionKey.create();
    const claims = { ...GRANTS, tenant: tenant('key-1'), peer: peer('p1'), cnf: { jwk }, generation: 1 };
    const [before, after] = [SECRET, `${SECRET}-new`];
    const ringOf = (...secrets: Secrets) => KeyRing.derive(secrets, 'session-token');
    const [old, first, second, done] = [
      ringOf(before),
      ringOf(before, after),
      ringOf(after, before),
      ringOf(after),
    ];
    // Edges are restarted one after another, so that neighbouring stages run side by side.
    for (const [maker, checker] of [
      [old, first],
      [first, old],
      [first, second],
      [second, first],
      [second, done],
      [done, second],
    ] as const) {
      const token = await signSessionToken(maker, claims);
      expect(await verifySessionToken(checker, token)).toEqual(claims);
    }
    await expect(verifySessionToken(done, await signSessionToken(old, claims))).rejects.toMatchObject({
      code: 'token_invalid',
    });
  });

  it('[SK1] a proof is valid for one key, one connection and one token', async () => {
    const [key, other] = [await TestSessionKey.create(), await TestSessionKey.create()];
    const resume = { nonce: 'n1', sessionToken: 'token', proof: await key.prove('n1', 'token') };
    await verifyResumeProof(key.jwk, resume);
    const invalid = new PlenaryError('proof_invalid');
    await expect(verifyResumeProof(other.jwk, resume)).rejects.toThrow(invalid);
    await expect(verifyResumeProof(key.jwk, { ...resume, nonce: 'n2' })).rejects.toThrow(invalid);
    await expect(verifyResumeProof(key.jwk, { ...resume, sessionToken: 'another' })).rejects.toThrow(invalid);
    const offCurve = { ...key.jwk, x: 'A'.repeat(43) };
    await expect(verifyResumeProof(offCurve, resume)).rejects.toThrow(invalid);
  });
});
