import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEdgeMetrics } from '../metrics.ts';
import { SocketIoClient } from './socket-io-client.ts';
import type { ServerSocket } from './socket-io-client.ts';

const MINUTE_MS = 60_000;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A Socket.IO socket that keeps what is emitted. */
class KeptSocket implements ServerSocket {
  readonly id = 'connection';
  readonly conn = { close: () => undefined };
  readonly emitted: string[] = [];
  connected = true;
  readonly #onDisconnect: ((reason: string) => void)[] = [];

  emit(name: string, payload: unknown): boolean {
    this.emitted.push(`${name} ${JSON.stringify(payload)}`);
    return true;
  }
  join(): void {}
  leave(): void {}
  disconnect(): void {
    this.connected = false;
    for (const listener of this.#onDisconnect) listener('server namespace disconnect');
  }
  onAny(): void {}
  on(event: string, listener: (detail: string) => void): void {
    if (event === 'disconnect') this.#onDisconnect.push(listener);
  }
}

function open() {
  const socket = new KeptSocket();
  const metrics = createEdgeMetrics();
  const client = new SocketIoClient(socket, {
    address: '192.0.2.1',
    count: undefined,
    frames: undefined,
    metrics,
  });
  const reasons: string[] = [];
  const listener = { onMessage: () => undefined, onClosed: (reason: string) => void reasons.push(reason) };
  client.serve(listener, { onClosed: () => undefined, reportFault: () => undefined });
  return { socket, client, reasons, metrics };
}

describe('a socket outside any room', () => {
  it('[RL6] is dropped after ten minutes, with the reason', async () => {
    const { socket, reasons, metrics } = open();
    vi.advanceTimersByTime(10 * MINUTE_MS - 1);
    expect(socket.connected).toBe(true);
    vi.advanceTimersByTime(1);
    expect(socket.emitted).toHaveLength(1);
    expect(socket.emitted[0]).toMatch(/^bye .*"timed_out"/);
    expect(socket.connected).toBe(false);
    expect(reasons).toHaveLength(1);
    expect((await metrics.dropped.get()).values).toMatchObject([{ labels: { code: 'timed_out' }, value: 1 }]);
  });

  it('[RL6] stays as long as it likes in one; its ten minutes begin anew when it left', () => {
    const { socket, client } = open();
    vi.advanceTimersByTime(9 * MINUTE_MS);
    client.noteJoined();
    vi.advanceTimersByTime(600 * MINUTE_MS);
    expect(socket.connected).toBe(true);
    client.noteLeft();
    vi.advanceTimersByTime(10 * MINUTE_MS - 1);
    expect(socket.connected).toBe(true);
    vi.advanceTimersByTime(1);
    expect(socket.connected).toBe(false);
  });

  it('[RL6] leaves no timer behind when it closes', () => {
    const { socket } = open();
    socket.disconnect();
    expect(vi.getTimerCount()).toBe(0);
  });
});
