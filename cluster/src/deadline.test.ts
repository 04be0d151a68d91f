import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { atMost, withDeadline } from './deadline.ts';
import type { Timers } from './deadline.ts';
import { systemTimers } from './process/timers.ts';

afterEach(() => {
  vi.useRealTimers();
});

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Blocks this process, as if it was stopped or its machine was paused. */
function standStill(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}

/** Connects to a server that runs `serve` for each connection. */
async function connectTo(serve: (socket: Socket) => void): Promise<Socket> {
  const server = createServer((socket) => {
    ends.push(() => socket.destroy());
    socket.on('data', () => serve(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  ends.push(() => client.destroy());
  await once(client, 'connect');
  return client;
}

async function ask(client: Socket, limitMs: number): Promise<string> {
  client.write('question');
  const answer = once(client, 'data').then(([data]: Buffer[]) => String(data));
  return withDeadline(systemTimers, limitMs, answer, () => 'timed out');
}

describe('a deadline', () => {
  it('returns a result that is there in time, and ignores a later one', async () => {
    vi.useFakeTimers();
    const [early, late] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    const waiting = [atMost(systemTimers, 100, early.promise), atMost(systemTimers, 100, late.promise)];
    early.resolve('early');
    expect(await waiting[0]).toBe('early');
    vi.advanceTimersByTime(100);
    late.reject(new Error('too late to be heard'));
    expect(await waiting[1]).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('passes on a failure that happens in time', async () => {
    vi.useFakeTimers();
    await expect(atMost(systemTimers, 100, Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('[HL17] reads the answer that waits in the socket while this process stands still', async () => {
    const client = await connectTo((socket) => {
      socket.write('answer');
      standStill(500);
    });
    expect(await ask(client, 100)).toBe('answer');
  });

  it('[HL62] ends the wait for a silent server, also after a standstill', async () => {
    const client = await connectTo(() => standStill(500));
    expect(await ask(client, 100)).toBe('timed out');
  });

  it('[HL62] ends in bounded time if every timer fires late', async () => {
    vi.useFakeTimers();
    const LAG_MS = 60;
    const lagging: Timers = { after: (delayMs, action) => systemTimers.after(delayMs + LAG_MS, action) };
    const result = withDeadline(lagging, 1_000, new Promise(() => undefined), () => performance.now());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toBeLessThan(3 * 1_000 + 2 * LAG_MS);
  });
});
