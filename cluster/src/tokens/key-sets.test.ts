import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { JoinKeys } from './join-keys.ts';
import { verifyJoinToken } from './join-token.ts';
import { KeySetCache, UNKNOWN_KEY_REFRESH_MS } from './key-set-cache.ts';
import { loadKeySet } from './key-set-source.ts';
import { MAX_KEY_SET_BYTES, parseKeySet } from './key-set.ts';
import { keyOfSecret } from './signed.ts';

const SECRET = 'a-secret-of-more-than-thirty-two-characters';
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ED = generateKeyPairSync('ed25519');
const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const jwkOf = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid });
const setOf = (...keys: object[]): string => JSON.stringify({ keys });
const SET = setOf(jwkOf(EC.publicKey, 'ec-1'), jwkOf(ED.publicKey, 'ed-1'), jwkOf(RSA.publicKey, 'rsa-1'));

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function tokenOf(
  alg: string,
  kid: string,
  key: Parameters<SignJWT['sign']>[0],
  iss = 'acme',
): Promise<string> {
  return new SignJWT({ sub: 'ann', room: 'standup', role: 'speaker', publish: [] })
    .setProtectedHeader({ alg, kid })
    .setIssuer(iss)
    .setAudience('plenary-join')
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(key);
}

describe('join tokens by published keys', () => {
  const published = new Map([['acme', { find: (kid: string) => parseKeySet(SET).get(kid) ?? [] }]]);
  const keys = new JoinKeys(
    new Map([
      ['acme', [SECRET]],
      ['other', [SECRET]],
    ]),
    published,
  );
  const outcome = async (token: Promise<string>): Promise<unknown> =>
    verifyJoinToken(await token, keys).then(
      ({ tenantId }) => tenantId,
      (fault: unknown) => (fault instanceof PlenaryError ? fault.detail?.reason : fault),
    );

  it('[TK8] accepts ES256, and EdDSA under both its names, beside the secret', async () => {
    expect(await outcome(tokenOf('ES256', 'ec-1', EC.privateKey))).toBe('acme');
    expect(await outcome(tokenOf('EdDSA', 'ed-1', ED.privateKey))).toBe('acme');
    expect(await outcome(tokenOf('Ed25519', 'ed-1', ED.privateKey))).toBe('acme');
    expect(await outcome(tokenOf('HS256', 'acme', keyOfSecret(SECRET)))).toBe('acme');
  });

  it('[TK20] a key is used with the algorithm of its kind, whatever the token says', async () => {
    const pem = EC.publicKey.export({ format: 'pem', type: 'spki' }).toString();
    const raw = Buffer.from(jwkOf(ED.publicKey, '').x ?? '', 'base64url');
    for (const kid of ['ec-1', 'ed-1', 'acme']) {
      expect(await outcome(tokenOf('HS256', kid, keyOfSecret(pem)))).not.toBe('acme');
      expect(await outcome(tokenOf('HS256', kid, raw))).not.toBe('acme');
    }
    for (const kid of ['ec-1', 'ed-1']) {
      expect(await outcome(tokenOf('HS256', kid, keyOfSecret(SECRET)))).toBe('wrong_algorithm');
      expect(await outcome(tokenOf('HS512', kid, keyOfSecret(SECRET.repeat(2))))).toBe('wrong_algorithm');
    }
    expect(await outcome(tokenOf('HS256', 'ec-2', keyOfSecret(SECRET)))).toBe('unknown_key');
    expect(await outcome(tokenOf('ES256', 'ed-1', EC.privateKey))).toBe('wrong_algorithm');
    expect(await outcome(tokenOf('RS256', 'rsa-1', RSA.privateKey))).toBe('unknown_key');
    expect(await outcome(tokenOf('RS256', 'ec-1', RSA.privateKey))).toBe('wrong_algorithm');
    const none = Buffer.from('{"alg":"none","kid":"ec-1"}').toString('base64url');
    const [, payload = ''] = (await tokenOf('ES256', 'ec-1', EC.privateKey)).split('.');
    expect(await outcome(Promise.resolve(`${none}.${payload}.`))).toBe('wrong_algorithm');
  });

  it('[TK21] a key verifies tokens of its own API key only', async () => {
    expect(await outcome(tokenOf('ES256', 'ec-1', EC.privateKey, 'other'))).toBe('unknown_key');
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(await outcome(tokenOf('ES256', 'ec-1', foreign.privateKey))).toBe('bad_signature');
    expect(await outcome(tokenOf('ES256', 'ec-2', EC.privateKey))).toBe('unknown_key');
    expect(await outcome(tokenOf('HS256', 'other', keyOfSecret(SECRET)))).toBe('wrong_issuer');
  });

  it('[TK6] [TK21] a token with a published key but without iss is refused for the missing iss', async () => {
    const token = await new SignJWT({ sub: 'ann', room: 'standup', role: 'speaker', publish: [] })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'ed-1' })
      .setAudience('plenary-join')
      .setIssuedAt()
      .setExpirationTime('60s')
      .sign(ED.privateKey);
    await expect(verifyJoinToken(token, keys)).rejects.toMatchObject({
      code: 'token_invalid',
      detail: { reason: 'missing', claim: 'iss' },
    });
  });

  it('[TK9] while a secret is replaced, tokens of the old and of the new one are accepted', async () => {
    const both = new JoinKeys(new Map([['acme', [`${SECRET}-new`, SECRET]]]));
    const take = async (secret: string): Promise<unknown> =>
      verifyJoinToken(await tokenOf('HS256', 'acme', keyOfSecret(secret)), both).then(
        () => 'taken',
        (fault: unknown) => (fault instanceof PlenaryError ? fault.detail?.reason : fault),
      );
    expect(await take(SECRET)).toBe('taken');
    expect(await take(`${SECRET}-new`)).toBe('taken');
    expect(await take(`${SECRET}-older`)).toBe('bad_signature');
  });
});

describe('parseKeySet', () => {
  it('[CF7] reads a set that begins with a byte order mark, as some editors write it', () => {
    expect([...parseKeySet(`\uFEFF${setOf(jwkOf(EC.publicKey, 'ok'))}\r\n`).keys()]).toEqual(['ok']);
  });

  it('[TK22] ignores keys of other kinds and uses, and refuses private ones', () => {
    const unusable = [
      jwkOf(RSA.publicKey, 'rsa'),
      { ...jwkOf(EC.publicKey, 'enc'), use: 'enc' },
      { ...jwkOf(EC.publicKey, 'alg'), alg: 'ES384' },
      EC.publicKey.export({ format: 'jwk' }),
    ];
    expect([...parseKeySet(setOf(...unusable, jwkOf(EC.publicKey, 'ok'))).keys()]).toEqual(['ok']);
    expect(() => parseKeySet(setOf(jwkOf(EC.privateKey, 'a')))).toThrow('private');
    expect(() => parseKeySet(setOf({ kty: 'oct', kid: 'a', k: 'AAAA' }))).toThrow('shared');
    for (const bad of [
      '',
      '[]',
      '{}',
      '{"keys":7}',
      setOf({ ...jwkOf(EC.publicKey, 'a'), x: 'A'.repeat(43) }),
    ])
      expect(() => parseKeySet(bad), bad).toThrow();
  });
});

describe('KeySetCache', () => {
  /** A cache whose source gives the answers of the test. */
  async function cacheOver(answer: () => Promise<string>) {
    const clock = new ManualClock();
    const seen = { reads: 0, faults: [] as unknown[] };
    const cache = new KeySetCache({
      load: async () => {
        seen.reads += 1;
        return parseKeySet(await answer());
      },
      clock,
      onRead: (fault) => {
        if (fault !== undefined) seen.faults.push(fault);
      },
    });
    closers.push(() => Promise.resolve(cache.stop()));
    cache.start();
    await cache.refresh();
    return { cache, clock, seen };
  }
  const unavailable = new PlenaryError('keys_unavailable');

  it('[TK24] keeps the last good set while its source is down or gives invalid answers', async () => {
    const answers = ['ok', 'down', 'nonsense', 'ok'];
    const { cache, seen } = await cacheOver(() => {
      const answer = answers.shift();
      return answer === 'down'
        ? Promise.reject(new Error('down'))
        : Promise.resolve(answer === 'ok' ? SET : '<p>');
    });
    for (let reading = 0; reading < 2; reading += 1) {
      await cache.refresh();
      expect(cache.find('ec-1')).toHaveLength(1);
    }
    expect(seen.faults).toHaveLength(2);
    await cache.refresh();
    expect(seen.faults).toHaveLength(2);
  });

  it('[TK25] unknown keys cause one reading in half a minute, however many tokens name one', async () => {
    let set = setOf(jwkOf(EC.publicKey, 'old'));
    const { cache, clock, seen } = await cacheOver(() => Promise.resolve(set));
    expect(cache.find('new')).toEqual([]);
    expect(seen.reads).toBe(1);
    clock.advance(UNKNOWN_KEY_REFRESH_MS);
    set = setOf(jwkOf(EC.publicKey, 'old'), jwkOf(ED.publicKey, 'new'));
    for (let token = 0; token < 100; token += 1) expect(() => cache.find('new')).toThrow(unavailable);
    await cache.refresh();
    expect(cache.find('new')).toHaveLength(1);
    for (let token = 0; token < 100; token += 1) expect(cache.find(`unknown-${token}`)).toEqual([]);
    expect(seen.reads).toBe(2);
  });

  it('[TK26] a set that was never read gives keys_unavailable, and is read again', async () => {
    let isUp = false;
    const { cache } = await cacheOver(() =>
      isUp ? Promise.resolve(SET) : Promise.reject(new Error('down')),
    );
    expect(() => cache.find('ec-1')).toThrow(unavailable);
    isUp = true;
    await cache.refresh();
    expect(cache.find('ec-1')).toHaveLength(1);
  });

  it('[TK26] after a failed reading, an unknown key may be a new one', async () => {
    let set = SET;
    let isUp = true;
    const { cache } = await cacheOver(() =>
      isUp ? Promise.resolve(set) : Promise.reject(new Error('down')),
    );
    isUp = false;
    await cache.refresh();
    expect(cache.find('ec-1')).toHaveLength(1);
    expect(() => cache.find('new')).toThrow(unavailable);
    isUp = true;
    set = setOf(jwkOf(ED.publicKey, 'new'));
    await cache.refresh();
    expect(cache.find('new')).toHaveLength(1);
    expect(cache.find('other')).toEqual([]);
  });

  it('[TK27] a key that is no longer published is no longer accepted', async () => {
    let set = SET;
    const { cache } = await cacheOver(() => Promise.resolve(set));
    set = setOf(jwkOf(ED.publicKey, 'ed-1'));
    await cache.refresh();
    expect(cache.find('ec-1')).toEqual([]);
  });
});

describe('loadKeySet', () => {
  async function serve(answer: (path: string) => { status?: number; body?: string; location?: string }) {
    const server = createServer((request, response) => {
      const { status = 200, body = '', location } = answer(request.url ?? '');
      response.writeHead(status, location === undefined ? {} : { location }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it('[TK28] reads a URL, follows no redirect, and refuses an answer that is too large or an error', async () => {
    const url = await serve((path) => {
      if (path === '/set') return { body: SET };
      if (path === '/moved') return { status: 302, location: '/set' };
      return path === '/large' ? { body: ' '.repeat(MAX_KEY_SET_BYTES) + SET } : { status: 404, body: SET };
    });
    expect([...(await loadKeySet({ url: `${url}/set` })).keys()]).toEqual(['ec-1', 'ed-1']);
    for (const path of ['/moved', '/large', '/missing'])
      await expect(loadKeySet({ url: url + path }), path).rejects.toThrow();
  });

  it('[TK28] reads a file each time, up to the same size', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plenary-keys-'));
    closers.push(() => rm(folder, { recursive: true }));
    const path = join(folder, 'keys.json');
    await expect(loadKeySet({ path })).rejects.toThrow();
    await writeFile(path, SET);
    expect([...(await loadKeySet({ path })).keys()]).toEqual(['ec-1', 'ed-1']);
    await writeFile(path, setOf(jwkOf(EC.publicKey, 'next')));
    expect([...(await loadKeySet({ path })).keys()]).toEqual(['next']);
    await writeFile(path, ' '.repeat(MAX_KEY_SET_BYTES) + SET);
    await expect(loadKeySet({ path })).rejects.toThrow('larger');
  });
});
