import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { freePort } from '@plenary/cluster/testing/ports';
import { afterEach, describe, expect, it } from 'vitest';
import type { Endpoint, Impairment } from './impairment.ts';
import { NO_IMPAIRMENT, roundTrip } from './impairment.ts';
import { ImpairmentProxy } from './proxy.ts';

const LOOPBACK = '127.0.0.1';
const ANY_PORT = { host: LOOPBACK, port: 0 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startProxy(protocol: 'udp' | 'tcp', target: Endpoint, impairment: Impairment, seed = 1) {
  const proxy = await ImpairmentProxy.start({
    links: [{ protocol, listen: ANY_PORT, target }],
    impairment,
    seed,
  });
  cleanups.push(() => proxy.close());
  const [address] = proxy.addresses;
  if (address === undefined) throw new Error('the proxy has no address');
  return { proxy, address };
}

async function bindUdp(): Promise<UdpSocket> {
  const socket = createSocket('udp4');
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  cleanups.push(() => socket.close());
  return socket;
}

/** A UDP server that returns every packet, preceded by its sender's port. */
async function startUdpEcho(): Promise<Endpoint> {
  const echo = await bindUdp();
  echo.on('message', (packet, { port, address }) => {
    echo.send(`${port} ${packet.toString()}`, port, address);
  });
  return { host: LOOPBACK, port: echo.address().port };
}

async function startTcpServer(serve: (socket: import('node:net').Socket) => void): Promise<Endpoint> {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as AddressInfo;
  return { host: LOOPBACK, port };
}

async function sendAndCollect(
  client: UdpSocket,
  to: Endpoint,
  count: number,
  expected: number,
): Promise<string[]> {
  const answers: string[] = [];
  const done = new Promise<void>((resolve) => {
    client.on('message', (packet) => {
      answers.push(packet.toString());
      if (answers.length >= expected) resolve();
    });
  });
  for (let index = 0; index < count; index += 1) client.send(String(index), to.port, to.host);
  await done;
  return answers;
}

describe('UDP relay', () => {
  it('keeps the order, delays both directions, and keeps clients apart', async () => {
    const { proxy, address } = await startProxy('udp', await startUdpEcho(), {
      ...roundTrip(20),
      jitterMs: 5,
    });
    const clients = [await bindUdp(), await bindUdp()];
    const beganMs = performance.now();
    const answers = await Promise.all(clients.map((client) => sendAndCollect(client, address, 50, 50)));
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(20);
    const sources = answers.map((lines) => new Set(lines.map((line) => line.split(' ')[0])));
    for (const [index, lines] of answers.entries()) {
      expect(lines.map((line) => line.split(' ')[1])).toEqual(
        Array.from({ length: 50 }, (_, number) => String(number)),
      );
      expect(sources[index]?.size).toBe(1);
    }
    expect([...(sources[0] ?? [])]).not.toEqual([...(sources[1] ?? [])]);
    expect(proxy.counts).toEqual({ forwarded: 200, lost: 0, overflowed: 0, failed: 0 });
  });

  it('loses the packets that the seed determines, the same ones each time', async () => {
    const target = await bindUdp();
    const endpoint = { host: LOOPBACK, port: target.address().port };
    const lostWith = async (seed: number): Promise<string[]> => {
      const { proxy, address } = await startProxy('udp', endpoint, { ...NO_IMPAIRMENT, lossRate: 0.3 }, seed);
      const arrived: string[] = [];
      const note = (packet: Buffer): void => {
        arrived.push(packet.toString());
      };
      target.on('message', note);
      const client = await bindUdp();
      for (let index = 0; index < 100; index += 1) client.send(String(index), address.port, address.host);
      while (proxy.counts.lost + arrived.length < 100) await new Promise((resolve) => setImmediate(resolve));
      target.off('message', note);
      await proxy.close();
      return arrived;
    };
    const first = await lostWith(5);
    expect(first.length).toBeGreaterThan(40);
    expect(first.length).toBeLessThan(95);
    expect(await lostWith(5)).toEqual(first);
    expect(await lostWith(6)).not.toEqual(first);
  });

  it('applies a change of the path at once', async () => {
    const { proxy, address } = await startProxy('udp', await startUdpEcho(), NO_IMPAIRMENT);
    const client = await bindUdp();
    await sendAndCollect(client, address, 1, 1);
    proxy.setImpairment({ ...NO_IMPAIRMENT, lossRate: 1 });
    client.send('gone', address.port, address.host);
    while (proxy.counts.lost < 1) await new Promise((resolve) => setImmediate(resolve));
    proxy.setImpairment(NO_IMPAIRMENT);
    const [answer] = await sendAndCollect(client, address, 1, 1);
    expect(answer).toContain(' 0');
  });

  it('closes with packets in flight, and may be closed twice', async () => {
    const { proxy, address } = await startProxy('udp', await startUdpEcho(), roundTrip(20_000));
    const client = await bindUdp();
    client.send('late', address.port, address.host);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await proxy.close();
    await proxy.close();
    expect(proxy.counts.forwarded).toBe(0);
  });
});

describe('TCP relay', () => {
  it('carries all bytes in order, in both directions, and the end of the stream', async () => {
    const target = await startTcpServer((socket) => socket.pipe(socket));
    const { proxy, address } = await startProxy('tcp', target, { delayMs: 1, jitterMs: 2, lossRate: 0 });
    const client = connect(address);
    const sent = Buffer.alloc(3_000_000, 'plenary ');
    const received: Buffer[] = [];
    client.on('data', (chunk: Buffer) => received.push(chunk));
    client.end(sent);
    await once(client, 'close');
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    expect(proxy.counts.failed).toBe(0);
  });

  it('delays the first bytes by the handshake: an answer after two round trips, then after one', async () => {
    const target = await startTcpServer((socket) => socket.pipe(socket));
    const { address } = await startProxy('tcp', target, roundTrip(30));
    const client = connect(address);
    const beganMs = performance.now();
    client.write('first');
    await once(client, 'data');
    const firstMs = performance.now() - beganMs;
    expect(firstMs).toBeGreaterThanOrEqual(60);
    const againMs = performance.now();
    client.write('second');
    await once(client, 'data');
    expect(performance.now() - againMs).toBeGreaterThanOrEqual(30);
    client.end();
    await once(client, 'close');
  });

  it('delays a greeting of the target until the client’s ACK would have reached it', async () => {
    const target = await startTcpServer((socket) => socket.end('hello'));
    const { address } = await startProxy('tcp', target, roundTrip(30));
    const beganMs = performance.now();
    const client = connect(address);
    await once(client, 'data');
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(60);
    client.end();
    await once(client, 'close');
  });

  it('passes on a refused connection', async () => {
    const target = await startTcpServer(() => undefined);
    const { proxy, address } = await startProxy('tcp', { ...target, port: 1 }, NO_IMPAIRMENT);
    const client = connect(address);
    client.on('error', () => undefined);
    await once(client, 'close');
    expect(proxy.counts.failed).toBeGreaterThan(0);
  });

  it('closes with open connections', async () => {
    const target = await startTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('end', () => socket.end()).resume();
      socket.write('hello');
    });
    const { proxy, address } = await startProxy('tcp', target, NO_IMPAIRMENT);
    const client = connect(address);
    await once(client, 'data');
    await proxy.close();
    await once(client, 'close');
  });
});

describe('ImpairmentProxy', () => {
  it('leaves nothing open when one of its ports is taken', async () => {
    const taken = await bindUdp();
    const port = await freePort();
    const links = [port, taken.address().port].map((each) => ({
      protocol: 'udp' as const,
      listen: { host: LOOPBACK, port: each },
      target: ANY_PORT,
    }));
    await expect(ImpairmentProxy.start({ links, impairment: NO_IMPAIRMENT })).rejects.toThrow('EADDRINUSE');
    const again = createSocket('udp4');
    again.bind({ port, address: LOOPBACK, exclusive: true });
    await once(again, 'listening');
    again.close();
  });

  it('refuses invalid impairments', async () => {
    for (const wrong of [{ delayMs: -1 }, { jitterMs: Number.NaN }, { lossRate: 2 }]) {
      await expect(
        ImpairmentProxy.start({ links: [], impairment: { ...NO_IMPAIRMENT, ...wrong } }),
      ).rejects.toThrow(RangeError);
    }
  });
});
