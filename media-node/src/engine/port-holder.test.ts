import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { findPortHolder } from './port-holder.ts';

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function holdUdp(ip: string, ipv6Only = false): Promise<number> {
  const socket = ip.includes(':') ? createSocket({ type: 'udp6', ipv6Only }) : createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, ip, resolve);
  });
  endings.push(
    () =>
      new Promise((resolve) => {
        socket.close(resolve);
      }),
  );
  return socket.address().port;
}

const pidOf = (port: number, ip: string): number | undefined => findPortHolder('udp', port, ip)?.pid;

describe('who holds a port', () => {
  test('[PO3] is found with its command, if its address blocks the port', async () => {
    const port = await holdUdp('127.0.0.2');
    expect(findPortHolder('udp', port, '127.0.0.2')?.command).toContain('node');
    expect(pidOf(port, '0.0.0.0')).toBe(process.pid);
    expect(pidOf(port, '127.0.0.1')).toBeUndefined();
    expect(pidOf(port, '::1')).toBeUndefined();
    expect(pidOf(port, '::')).toBeUndefined();
    expect(findPortHolder('tcp', port, '127.0.0.2')).toBeUndefined();
  });

  test('[PO3] on every interface it blocks each address, and IPv6 also blocks IPv4', async () => {
    const [four, six] = [await holdUdp('0.0.0.0'), await holdUdp('::')];
    expect(pidOf(four, '127.0.0.1')).toBe(process.pid);
    expect(pidOf(four, '::1')).toBeUndefined();
    expect(pidOf(six, '::1')).toBe(process.pid);
    expect(pidOf(six, '127.0.0.1')).toBe(process.pid);
  });

  test('[PO3] an IPv4 address in an IPv6 socket is an IPv4 address', async () => {
    const port = await holdUdp('::ffff:127.0.0.2');
    expect(pidOf(port, '127.0.0.2')).toBe(process.pid);
    expect(pidOf(port, '127.0.0.1')).toBeUndefined();
  });

  test('[PO3] for TCP, only listening sockets count', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.2', resolve);
    });
    endings.push(
      () =>
        new Promise((resolve) => {
          server.close(() => {
            resolve();
          });
        }),
    );
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    expect(findPortHolder('tcp', address.port, '127.0.0.2')?.pid).toBe(process.pid);
  });
});
