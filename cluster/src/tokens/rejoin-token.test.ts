import { describe, expect, it } from 'vitest';
import { KeyRing } from '../keys/key-ring.ts';
import { roomName, tenant } from '../testing/samples.ts';
import { TestSessionKey } from '../testing/session-key.ts';
import { signRejoinToken, verifyRejoinToken } from './rejoin-token.ts';
import { verifySessionToken } from './session-token.ts';

const SECRET = 'a-secret-of-more-than-thirty-two-characters';
const KEYS = KeyRing.derive([SECRET], 'rejoin-token');
const DAY = 86_400;
const nowSeconds = Math.floor(Date.now() / 1_000);

async function claimsOf(admittedAtSeconds = nowSeconds) {
  const { jwk } = await TestSessionKey.create();
  const grants = {
    sub: 'ann',
    room: roomName('standup'),
    role: 'host' as const,
    publish: ['camera' as const],
  };
  return { grants, tenantId: tenant('acme'), key: jwk, admittedAtSeconds };
}

describe('rejoin tokens', () => {
  it('[RJ1] contain the grants of the join token, its tenant, the key and the time of the first join', async () => {
    const claims = await claimsOf(nowSeconds - 3_600);
    const token = (await signRejoinToken(KEYS, claims, DAY)) ?? '';
    expect(await verifyRejoinToken(KEYS, token, DAY)).toMatchObject(claims);
  });

  it('[RJ3] end a day after the first join, however often the person joined again', async () => {
    expect(await signRejoinToken(KEYS, await claimsOf(nowSeconds - DAY), DAY)).toBeUndefined();
    const token = (await signRejoinToken(KEYS, await claimsOf(nowSeconds - 3_600), DAY)) ?? '';
    const { exp } = JSON.parse(atob(token.split('.')[1] ?? '')) as { exp: number };
    expect(exp).toBeLessThanOrEqual(nowSeconds - 3_600 + DAY + 5);
    // The operator shortened the time meanwhile.
    await expect(verifyRejoinToken(KEYS, token, 3_000)).rejects.toMatchObject({ detail: { claim: 'exp' } });
  });

  it('[RJ13] are signed by a key for this use only, of any of the cluster’s secrets', async () => {
    const token = (await signRejoinToken(KEYS, await claimsOf(), DAY)) ?? '';
    const invalid = { code: 'token_invalid' };
    await expect(verifySessionToken(KeyRing.derive([SECRET], 'session-token'), token)).rejects.toMatchObject(
      invalid,
    );
    await expect(verifySessionToken(KEYS, token)).rejects.toMatchObject(invalid);
    const others = KeyRing.derive([`${SECRET}-other`], 'rejoin-token');
    await expect(verifyRejoinToken(others, token, DAY)).rejects.toMatchObject(invalid);
    const both = KeyRing.derive([`${SECRET}-other`, SECRET], 'rejoin-token');
    expect(await verifyRejoinToken(both, token, DAY)).toMatchObject({ tenantId: 'acme' });
  });
});
