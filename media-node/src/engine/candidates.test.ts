import type { types } from 'mediasoup';
import { describe, expect, test } from 'vitest';
import { offeredCandidates } from './candidates.ts';

const candidate = (protocol: 'udp' | 'tcp', address: string, priority: number): types.IceCandidate => ({
  foundation: `${protocol}candidate`,
  priority,
  ip: address,
  address,
  protocol,
  port: 20_000,
  type: 'host',
  ...(protocol === 'tcp' ? { tcpType: 'passive' as const } : {}),
});
const MADE = [
  candidate('udp', '0.0.0.0', 1_076_302_079),
  candidate('udp', '10.1.0.21', 1_073_742_079),
  candidate('tcp', '0.0.0.0', 1_050_702_079),
];

describe('the candidates of an offer', () => {
  test('[AD7] are one for each address and protocol, in order, with UDP first', () => {
    const offered = offeredCandidates(MADE, ['203.0.113.21', '10.1.0.21']);
    expect(offered.map(({ protocol, address, ip }) => [protocol, address, ip])).toEqual([
      ['udp', '203.0.113.21', '203.0.113.21'],
      ['udp', '10.1.0.21', '10.1.0.21'],
      ['tcp', '203.0.113.21', '203.0.113.21'],
      ['tcp', '10.1.0.21', '10.1.0.21'],
    ]);
    expect(offered.map(({ tcpType }) => tcpType)).toEqual([undefined, undefined, 'passive', 'passive']);
    const priorities = offered.map(({ priority }) => priority);
    expect(priorities).toEqual([...new Set(priorities)].sort((left, right) => right - left));
  });

  test('[AD26] do not exceed the limit of the protocol', () => {
    const many = Array.from({ length: 12 }, (_unused, index) => `10.1.0.${index}`);
    const offered = offeredCandidates(MADE, many);
    expect(offered).toHaveLength(16);
    expect(offered.filter(({ protocol }) => protocol === 'tcp')).toHaveLength(8);
    const priorities = offered.map(({ priority }) => priority);
    expect(priorities).toEqual([...priorities].sort((left, right) => right - left));
  });
});
