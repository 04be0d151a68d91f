import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { linuxNetwork, NetworkMeter, parseCounters } from './network-meter.ts';
import type { NetworkMeterOptions } from './network-meter.ts';

const HEADER = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`;
const line = (name: string, received: number, sentBytes: number, sent: number): string =>
  `  ${name}: 1000 ${received} 0 0 0 0 0 0 ${sentBytes} ${sent} 0 0 0 0 0 0\n`;
const address = (text: string, internal = false): NetworkInterfaceInfo =>
  ({
    address: text,
    netmask: '',
    mac: '',
    internal,
    cidr: null,
    family: text.includes(':') ? 'IPv6' : 'IPv4',
    ...(text.includes(':') ? { scopeid: 0 } : {}),
  }) as NetworkInterfaceInfo;

const INTERFACES = {
  lo: [address('127.0.0.1', true)],
  eth0: [address('192.0.2.7'), address('2001:db8::7')],
  eth1: [address('10.0.0.7')],
};

/** The load after a second with the given counters of the interfaces. */
async function loadOf(after: string, options: Partial<NetworkMeterOptions> = {}) {
  const readings = [
    line('lo', 0, 0, 0),
    line('eth0', 0, 0, 0),
    line('eth1', 0, 0, 0),
    line('veth1', 0, 0, 0),
  ];
  const texts = [HEADER + readings.join(''), HEADER + after];
  const meter = new NetworkMeter({
    listenIps: ['0.0.0.0'],
    maxOutgoingMbit: undefined,
    maxPacketsPerSecond: 100_000,
    system: {
      counters: () => Promise.resolve(texts.shift() ?? ''),
      speedMbit: (name) => Promise.resolve(name === 'eth1' ? 10_000 : undefined),
      interfaces: () => INTERFACES,
    },
    ...options,
  });
  await meter.measure(5_000);
  expect(meter.load).toEqual({ bandwidth: 0, packets: 0 });
  await meter.measure(6_000);
  return meter.load;
}

const HALF_A_GIGABIT = 62_500_000;

describe('NetworkMeter', () => {
  it('[PL24] is the busiest interface’s share of its own speed, or of a gigabit if that is not known', async () => {
    const load = await loadOf(
      line('eth0', 20_000, HALF_A_GIGABIT, 30_000) + line('eth1', 5, HALF_A_GIGABIT, 5),
    );
    expect(load).toEqual({ bandwidth: 0.5, packets: 0.5 });
    expect(await loadOf(line('eth1', 0, HALF_A_GIGABIT, 0))).toEqual({ bandwidth: 0.05, packets: 0 });
  });

  it('[PL24] is measured against the configured limits', async () => {
    const limits = { maxOutgoingMbit: 2_000, maxPacketsPerSecond: 1_000_000 };
    const load = await loadOf(line('eth0', 50_000, HALF_A_GIGABIT, 50_000), limits);
    expect(load).toEqual({ bandwidth: 0.25, packets: 0.1 });
  });

  it('[PL24] counts only interfaces that carry RTP: no loopback, none without an address', async () => {
    const busy = line('lo', 9, HALF_A_GIGABIT, 9_000) + line('veth1', 9, HALF_A_GIGABIT, 9_000);
    expect(await loadOf(busy)).toEqual({ bandwidth: 0, packets: 0 });
  });

  it.each(['192.0.2.7', '2001:db8::7'])(
    '[PL24] listening on %s, counts the interface with it',
    async (ip) => {
      const after = line('eth0', 0, HALF_A_GIGABIT, 0) + line('eth1', 0, 20 * HALF_A_GIGABIT, 0);
      expect(await loadOf(after, { listenIps: [ip] })).toEqual({ bandwidth: 0.5, packets: 0 });
    },
  );

  it('[PL24] the loopback interface has no limit unless one is set', async () => {
    const after = line('lo', 0, HALF_A_GIGABIT, 10_000);
    expect(await loadOf(after, { listenIps: ['127.0.0.1'] })).toEqual({ bandwidth: 0, packets: 0.1 });
    const limited = await loadOf(after, { listenIps: ['127.0.0.1'], maxOutgoingMbit: 1_000 });
    expect(limited.bandwidth).toBe(0.5);
  });

  it('[PL24] reads what this system counts', async () => {
    expect(parseCounters(await linuxNetwork.counters()).has('lo')).toBe(true);
  });
});
