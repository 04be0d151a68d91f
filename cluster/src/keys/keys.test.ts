import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DEFAULT_NAMESPACE, NAMESPACE } from '../namespace.ts';
import { deriveBytes, secretsIn, secretsSetting } from './derive.ts';
import type { KeyPurpose } from './derive.ts';
import { KeyRing, keyIdOf } from './key-ring.ts';

const SECRET = 'a-secret-of-more-than-thirty-two-characters';
const PURPOSES: readonly KeyPurpose[] = [
  'key-id',
  'session-token',
  'rejoin-token',
  'peer-id',
  'publication',
  'control-authority',
  'control:edge:a',
  'control:media-node:a',
  'control:media-node:b',
  'admin:edge:a',
  'admin:media-node:a',
];

describe('keys of the cluster', () => {
  it('[KY1] each purpose, each kind of process and each id has a key of its own, and none is the secret', () => {
    const keys = [...PURPOSES.map((purpose) => deriveBytes(SECRET, purpose)), Buffer.from(SECRET)];
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(keys.length);
    expect(deriveBytes(SECRET, 'peer-id')).toEqual(deriveBytes(SECRET, 'peer-id'));
    expect(deriveBytes(`${SECRET}2`, 'peer-id')).not.toEqual(deriveBytes(SECRET, 'peer-id'));
  });

  it('[KY1] follows RFC 5869', () => {
    const hmac = (key: string | Buffer, text: string | Buffer): Buffer =>
      createHmac('sha256', key).update(text).digest();
    const extracted = hmac('plenary keys 1', SECRET);
    const expanded = hmac(extracted, Buffer.concat([Buffer.from('peer-id'), Buffer.of(1)]));
    expect(deriveBytes(SECRET, 'peer-id')).toEqual(expanded);
  });

  it('[NS3] a namespace has its own keys; the default namespace has those of the secret', () => {
    const [one, two] = [NAMESPACE.parse('one'), NAMESPACE.parse('two')];
    const all = [DEFAULT_NAMESPACE, one, two].flatMap((namespace) =>
      secretsIn(namespace, [SECRET, `${SECRET}2`]),
    );
    expect(new Set(all).size).toBe(6);
    expect(secretsIn(DEFAULT_NAMESPACE, [SECRET])).toEqual([SECRET]);
    expect(secretsIn(one, [SECRET])).toEqual(secretsIn(one, [SECRET]));
  });

  it('[KY2] the first secret signs, all are accepted, others are not', () => {
    const ring = KeyRing.derive([SECRET, `${SECRET}2`], 'session-token');
    expect(ring.current.id).toBe(keyIdOf(SECRET));
    expect(ring.find(keyIdOf(`${SECRET}2`))?.export()).toEqual(deriveBytes(`${SECRET}2`, 'session-token'));
    expect(ring.find(keyIdOf(`${SECRET}3`))).toBeUndefined();
  });

  it('[KY2] one secret gives the keys, or several separated by commas', () => {
    const [one, two] = [SECRET, `${SECRET}2`];
    expect(secretsSetting.parse(one)).toEqual([one]);
    expect(secretsSetting.parse(`${one}, ${two}`)).toEqual([one, two]);
    for (const wrong of ['short', `${one},short`, `${one},`, `${one},${one}`, '', SECRET.repeat(40)])
      expect(secretsSetting.safeParse(wrong).success, wrong).toBe(false);
  });
});
