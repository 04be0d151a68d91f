import { afterEach, describe, expect, test, vi } from 'vitest';
import { resumeProofText } from '@plenary/cluster/protocol';
import { createSessionKey } from './session-key.ts';

afterEach(() => vi.unstubAllGlobals());

describe('createSessionKey', () => {
  test('[SK8] the private key cannot be exported, and each session has its own key', async () => {
    const generate = vi.spyOn(crypto.subtle, 'generateKey');
    const [one, two] = [await createSessionKey(), await createSessionKey()];
    expect(generate.mock.calls.map(([, isExtractable]) => isExtractable)).toEqual([false, false]);
    expect(one.publicKey).not.toEqual(two.publicKey);
    expect(Object.keys(one.publicKey).sort()).toEqual(['crv', 'kty', 'x', 'y']);
  });

  test.each(['with', 'without'])(
    '[SK1] [WB54] the proof is a signature over nonce and token, %s WebCrypto',
    async (how) => {
      const { subtle } = crypto;
      if (how === 'without')
        vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) });
      const { publicKey, prove } = await createSessionKey();
      const proof = await prove('nonce', 'token');
      const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
      const key = await subtle.importKey('jwk', { ...publicKey }, algorithm, false, ['verify']);
      const signature = Uint8Array.from(atob(proof.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
        character.charCodeAt(0),
      );
      const verify = (text: string) =>
        subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, new TextEncoder().encode(text));
      expect(await verify(resumeProofText('nonce', 'token'))).toBe(true);
      expect(await verify(resumeProofText('other', 'token'))).toBe(false);
    },
  );

  test('[WB13] it rejects with insecure_context when no key can be created', async () => {
    vi.stubGlobal('crypto', {});
    await expect(createSessionKey()).rejects.toMatchObject({ code: 'insecure_context', retryable: false });
  });
});
