import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { normalise } from '../http/client-address.ts';
import { addressKeysOf } from './address-keys.ts';
import { AddressLimits } from './address-limits.ts';

const keys = (address: string): string[] => addressKeysOf(normalise(address)).map(({ key }) => key);

describe('whose limits an address counts for', () => {
  it('[EN8] an IPv4 address is one, however it is written', () => {
    expect(keys('192.0.2.1')).toEqual(['192.0.2.1']);
    expect(keys('::ffff:192.0.2.1')).toEqual(['192.0.2.1']);
    expect(keys('no address')).toEqual(['no address']);
  });

  it('[EN32] one of IPv6 counts for its network and its site', () => {
    expect(keys('2001:db8:1:2:3:4:5:6')).toEqual(['2001:db8:1:2::/64', '2001:db8:1::/48']);
    expect(keys('2001:0db8:0001:0002:ffff::9%eth0')).toEqual(['2001:db8:1:2::/64', '2001:db8:1::/48']);
    expect(keys('2001:db8::1')).toEqual(['2001:db8:0:0::/64', '2001:db8:0::/48']);
    expect(keys('::1')).toEqual(['0:0:0:0::/64', '0:0:0::/48']);
    expect(keys('2001:db8:1::')).toEqual(['2001:db8:1:0::/64', '2001:db8:1::/48']);
    expect(keys('::5:6:7:8:9')).toEqual(['0:0:0:5::/64', '0:0:0::/48']);
  });

  it('[EN32] nobody gets more sockets by more addresses of one network, and few by more networks of one site', () => {
    const limits = new AddressLimits({ sockets: 4, connectsPerSecond: 100 }, new ManualClock());
    const open = (address: string): string => {
      const verdict = limits.judgeConnect(address);
      if (verdict === 'allowed') limits.opened(address).joined();
      return verdict;
    };
    const inOneNetwork = Array.from({ length: 10 }, (_, index) => open(`2001:db8:1:1::${index + 1}`));
    expect(inOneNetwork.filter((verdict) => verdict === 'allowed')).toHaveLength(4);
    const inOneSite = Array.from({ length: 100 }, (_, index) => open(`2001:db8:2:${index + 1}::1`));
    expect(inOneSite.filter((verdict) => verdict === 'allowed')).toHaveLength(64);
    expect(open('2001:db8:3:1::1')).toBe('allowed');
  });
});
