import { KeyRing } from '@plenary/cluster';
import type { Secrets } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { PublicationSeal } from './publication-seal.ts';

const [OLD, NEW, OTHER] = ['old', 'new', 'other'].map((name) => `${name} `.repeat(12)) as [
  string,
  string,
  string,
];
const sealOf = (...secrets: Secrets): PublicationSeal =>
  new PublicationSeal(KeyRing.derive(secrets, 'publication'));
const CHANNEL = 'plenary:socket.io#/#';
const here = Buffer.from(CHANNEL);

describe('the seal of publications', () => {
  it('[NS5] lets through what an edge of this cluster published on this very channel', () => {
    const seal = sealOf(NEW);
    for (const payload of ['', '{"a":"ä"}', Buffer.alloc(100_000, 7)])
      expect(seal.open(here, seal.seal(CHANNEL, payload))).toEqual(Buffer.from(payload));
    expect(() => seal.open(Buffer.from(`${CHANNEL}room#`), seal.seal(CHANNEL, '{}'))).toThrow('secret');
  });

  it('[NS5] lets through nothing that was changed, cut, or never sealed', () => {
    const seal = sealOf(NEW);
    const sealed = seal.seal(CHANNEL, '{"type":3}');
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      expect(() => seal.open(here, changed), `byte ${index}`).toThrow('secret');
      expect(() => seal.open(here, sealed.subarray(0, index)), `up to ${index}`).toThrow('secret');
    }
    expect(() => seal.open(here, Buffer.from('{"type":3}'))).toThrow('secret');
  });

  it('[NS5] [KY2] holds while the secret is changed, and between clusters with different ones', () => {
    const [before, first, second, after] = [sealOf(OLD), sealOf(OLD, NEW), sealOf(NEW, OLD), sealOf(NEW)];
    for (const [from, to] of [
      [before, first],
      [first, before],
      [first, second],
      [second, first],
      [second, after],
      [after, second],
    ] as const)
      expect(to.open(here, from.seal(CHANNEL, 'x')).toString()).toBe('x');
    expect(() => after.open(here, before.seal(CHANNEL, 'x'))).toThrow('secret');
    expect(() => sealOf(OTHER).open(here, after.seal(CHANNEL, 'x'))).toThrow('secret');
  });
});
