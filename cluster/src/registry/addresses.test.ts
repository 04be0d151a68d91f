import { describe, expect, test } from 'vitest';
import { announcedOf, familyOf, sharedFamily, shareAddress } from './addresses.ts';

const name = { announcedAddress: 'media.example.org' };
const four = { announcedAddress: '192.0.2.1' };
const six = { announcedAddress: '2001:db8::1' };
const both = { announcedAddress: '192.0.2.1', announcedIpv6: '2001:db8::1' };

describe('announced addresses', () => {
  test('[PS24] a host name stands for IPv4', () => {
    expect([name, four, six].map(({ announcedAddress }) => familyOf(announcedAddress))).toEqual([
      'ipv4',
      'ipv4',
      'ipv6',
    ]);
    expect(announcedOf(both, 'ipv6')).toBe('2001:db8::1');
    expect(announcedOf(six, 'ipv6')).toBe('2001:db8::1');
    expect(announcedOf(six, 'ipv4')).toBeUndefined();
  });

  test.each([
    [name, four, 'ipv4'],
    [both, { ...both, announcedIpv6: '2001:db8::2' }, 'ipv4'],
    [both, six, 'ipv6'],
    [six, both, 'ipv6'],
    [six, six, 'ipv6'],
    [four, six, undefined],
  ] as const)('[PS10] between %j and %j: %s', (left, right, family) => {
    expect(sharedFamily(left, right)).toBe(family);
  });

  test('[PS26] nodes whose announced addresses differ share none', () => {
    expect(shareAddress(both, six)).toBe(true);
    expect(shareAddress(four, both)).toBe(true);
    expect(shareAddress(four, six)).toBe(false);
    expect(shareAddress(name, four)).toBe(false);
  });
});
