import { AbstractConnector } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LastingRedis } from './lasting-redis.ts';

let attempts = 0;

/** Ends as ioredis’ connector of Sentinels does when it is told of a failover while it asks for the primary. */
class EndedConnector extends AbstractConnector {
  constructor() {
    super(0);
  }

  connect(): Promise<never> {
    attempts += 1;
    return Promise.reject(new Error('Connection is closed.'));
  }
}

describe('LastingRedis', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    attempts = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('reconnects after a connection loss, and not after it was closed here', async () => {
    const redis = new LastingRedis({ Connector: EndedConnector, retryStrategy: () => 50 });
    const told = vi.fn();
    redis.on('error', told);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(attempts).toBeGreaterThan(2);
    expect(told).toHaveBeenCalledTimes(attempts);
    redis.disconnect();
    const before = attempts;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(attempts).toBe(before);
  });
});
