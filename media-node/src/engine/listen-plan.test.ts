import { describe, expect, test } from 'vitest';
import type { MediaAddress } from '../media-address.ts';
import { boundIps, udpSockets } from './listen-plan.ts';

const every = (...told: [string, ...string[]]): MediaAddress => ({
  family: 'ipv4',
  listenIp: '0.0.0.0',
  announced: told[0],
  clientAddresses: told,
});
const MACHINE = ['127.0.0.1', '10.1.0.21', '172.17.0.1', '::1', 'fe80::1', 'fd00::21'];

const plan = (address: MediaAddress, own = MACHINE, platform: NodeJS.Platform = 'linux'): readonly string[] =>
  udpSockets(address, own, platform).map(({ ip, isShared }) => (isShared ? `${ip} shared` : ip));

describe('where a WebRTC port is bound', () => {
  test('[AD5] on the configured address', () => {
    expect(plan({ family: 'ipv4', listenIp: '10.1.0.21', announced: '203.0.113.21' })).toEqual(['10.1.0.21']);
  });

  test('[AD5] on the announced addresses, if they belong to this machine', () => {
    expect(plan(every('10.1.0.21'))).toEqual(['10.1.0.21']);
    expect(plan(every('10.1.0.21', '172.17.0.1'))).toEqual(['10.1.0.21', '172.17.0.1']);
    expect(boundIps(every('10.1.0.21'), MACHINE)).toEqual(['10.1.0.21']);
  });

  test('[AD5] behind a NAT, or with a host name, on each address beside the socket for all', () => {
    const shared = ['0.0.0.0 shared', '10.1.0.21 shared', '172.17.0.1 shared'];
    expect(plan(every('203.0.113.21'))).toEqual(shared);
    expect(plan(every('media.example.org'))).toEqual(shared);
    expect(plan(every('203.0.113.21', '10.1.0.21'))).toEqual(shared);
    expect(boundIps(every('203.0.113.21', '10.1.0.21'), MACHINE)).toEqual(['0.0.0.0']);
  });

  test('[AD5] only on every interface, if the machine has one address or does not run Linux', () => {
    expect(plan(every('203.0.113.21'), ['127.0.0.1', '10.1.0.21'])).toEqual(['0.0.0.0']);
    expect(plan(every('203.0.113.21'), MACHINE, 'darwin')).toEqual(['0.0.0.0']);
    expect(plan({ family: 'ipv6', listenIp: '::', announced: '2001:db8::21' })).toEqual(['::']);
  });
});
