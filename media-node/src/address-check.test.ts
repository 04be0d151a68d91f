import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AddressCheck, certainFault, returnsToMachine } from './address-check.ts';
import type { AddressCheckOptions } from './address-check.ts';
import { pairAddresses } from './media-address.ts';

const logger = { info: vi.fn(), warn: vi.fn() };
afterEach(() => {
  vi.clearAllMocks();
});

function check(
  announced: readonly string[],
  overrides: Partial<AddressCheckOptions> = {},
  listenIps: readonly string[] = [],
): AddressCheck {
  const paired = pairAddresses(announced, listenIps);
  if ('faults' in paired) throw new Error(paired.faults.join());
  return new AddressCheck({
    addresses: paired.addresses,
    clientAddresses: () => announced,
    liveEdges: () => Promise.resolve([]),
    hasAddress: () => false,
    logger,
    resolve: (name) => Promise.resolve(name === 'meet.example.org' ? ['8.8.8.8'] : ['10.9.0.1']),
    ...overrides,
  });
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => {
    socket.close(resolve);
  });
  return port;
}

describe('what is known of announced addresses at the start', () => {
  test.each([
    ['127.0.0.1', '0.0.0.0', 'means the client itself'],
    ['::1', '::', 'means the client itself'],
    ['203.0.113.21', '0.0.0.0', 'is reserved for'],
    ['192.0.2.21', '10.1.0.21', 'is reserved for'],
    ['2001:db8::21', '::', 'is reserved for'],
    ['239.1.2.3', '0.0.0.0', 'is reserved for'],
    ['169.254.3.4', '0.0.0.0', 'is valid on one network link only'],
    ['fe80::1', '::', 'is valid on one network link only'],
  ])('[AD27] %s, listened for on %s, is certainly wrong', (address, listenIp, says) => {
    expect(certainFault(address, listenIp)).toContain(says);
  });

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['10.1.0.21', '0.0.0.0'],
    ['8.8.8.8', '10.1.0.21'],
    ['2a00::21', '::'],
    ['media.example.org', '0.0.0.0'],
  ])('[AD27] %s, listened for on %s, may be right', (address, listenIp) => {
    expect(certainFault(address, listenIp)).toBeUndefined();
  });

  test('[AD8] [AD27] each address is logged once with what is known of it, and a wrong one with the remedy', async () => {
    const hasAddress = (address: string): boolean => address === '10.1.0.21';
    await check(['10.1.0.21', '203.0.113.21', '127.0.0.1'], { hasAddress }).check(await freePort());
    expect(logger.info).toHaveBeenCalledExactlyOnceWith(
      { addresses: { '10.1.0.21': 'own interface', '203.0.113.21': 'wrong', '127.0.0.1': 'wrong' } },
      'clients send media to these addresses',
    );
    expect(logger.warn).toHaveBeenCalledTimes(2);
    expect(logger.warn).toHaveBeenCalledWith(
      { address: '203.0.113.21' },
      expect.stringContaining('announce the address that clients reach'),
    );
  });

  test('[AD8] logs whether a datagram to the address returns', async () => {
    expect(await returnsToMachine('127.0.0.1', '127.0.0.1', await freePort())).toBe(true);
    expect(await returnsToMachine('127.0.0.1', '127.0.0.9', await freePort())).toBe(false);
    await check(['127.0.0.1'], {}, ['127.0.0.1']).check(await freePort());
    expect(logger.info).toHaveBeenCalledWith(
      { addresses: { '127.0.0.1': 'comes back in' } },
      expect.any(String),
    );
  });

  const edges = (...publicUrls: string[]) => ({
    liveEdges: () => Promise.resolve(publicUrls.map((publicUrl) => ({ publicUrl }))),
  });

  test.each([
    ['https://meet.example.org', ['10.1.0.21']],
    ['https://8.8.4.4', ['10.1.0.21', 'fd00::21']],
    ['https://[2a00::1]', ['192.168.0.21']],
  ])('[AD28] an edge at %s and only private addresses: one warning', async (publicUrl, told) => {
    await check(told, edges('http://10.1.0.11:3000', publicUrl)).compareWithEdges();
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
      { addresses: told, publicUrl },
      expect.stringContaining('PLENARY_ANNOUNCED_ADDRESS'),
    );
  });

  test.each([
    ['https://meet.example.org', ['10.1.0.21', '8.8.8.8']],
    ['https://meet.example.org', ['media.example.org']],
    ['https://meet.internal', ['10.1.0.21']],
    ['http://localhost:3000', ['127.0.0.1']],
  ])('[AD28] an edge at %s and %j: no warning', async (publicUrl, told) => {
    await check(told, edges(publicUrl)).compareWithEdges();
    await check(told, { liveEdges: () => Promise.reject(new Error('away')) }).compareWithEdges();
    expect(logger.warn).not.toHaveBeenCalled();
  });
});
