/** Channels that Redis refuses, and that a process requests again. */
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchEntries } from '../process/guarded-callbacks.ts';
import { ClusterPubSub } from './cluster-pubsub.ts';
import type { ShardedClient } from './cluster-pubsub.ts';

function refusal(): Error {
  const error = new Error("NOPERM User plenary-edge has no permissions to access the 'a' channel");
  error.name = 'ReplyError';
  return error;
}

/** A master that refuses every command about channels. */
class RefusingClient extends EventEmitter implements ShardedClient {
  readonly status = 'ready';
  readonly slots = [];
  subscriptions = 0;

  async spublish(): Promise<unknown> {
    return Promise.reject(refusal());
  }
  async ssubscribe(): Promise<unknown> {
    this.subscriptions += 1;
    return Promise.reject(refusal());
  }
  async sunsubscribe(): Promise<unknown> {
    return Promise.reject(refusal());
  }
  nodes(): readonly [] {
    return [];
  }
  disconnect(): void {
    this.emit('end');
  }
}

describe('a channel that Redis refuses', () => {
  const uncaught: unknown[] = [];
  let stopWatching: () => void;
  beforeEach(() => {
    vi.useFakeTimers();
    uncaught.length = 0;
    stopWatching = watchEntries((_kind, fault) => uncaught.push(fault));
  });
  afterEach(() => {
    stopWatching();
    vi.useRealTimers();
  });

  it('[HL64] is requested again each second, and reported once', async () => {
    const client = new RefusingClient();
    const faults: unknown[] = [];
    const connection = new ClusterPubSub(client, (fault) => faults.push(fault));
    connection.subscribe('a');
    await vi.advanceTimersByTimeAsync(500);
    expect(client.subscriptions).toBe(1);
    for (const second of [1, 2, 3]) {
      await vi.advanceTimersByTimeAsync(1_000);
      expect(client.subscriptions).toBe(1 + second);
    }
    expect(faults).toHaveLength(1);
    connection.close();
  });

  it('[HL65] leaves no error without an owner, whichever command is refused', async () => {
    const connection = new ClusterPubSub(new RefusingClient(), () => undefined);
    connection.subscribe('a');
    connection.subscribe('b');
    await expect(connection.publish('a', 'hello')).rejects.toThrow('NOPERM');
    await vi.advanceTimersByTimeAsync(3_000);
    connection.unsubscribe('b');
    await vi.advanceTimersByTimeAsync(3_000);
    connection.close();
    expect(uncaught).toEqual([]);
    expect(connection.trouble()).toBe('access_denied');
  });
});
