import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ClusterPubSub } from './cluster-pubsub.ts';
import type { ShardedClient } from './cluster-pubsub.ts';

/** Stands in for ioredis, whose moments without a subscriber for a slot cannot be brought about from outside. */
class ScriptedClient extends EventEmitter implements ShardedClient {
  status = 'ready';
  readonly slots = [];
  fault: Error | undefined;
  readonly asked: string[] = [];

  async spublish(channel: string): Promise<unknown> {
    return this.#ask(`spublish ${channel}`);
  }
  async ssubscribe(channel: string): Promise<unknown> {
    return this.#ask(`ssubscribe ${channel}`);
  }
  async sunsubscribe(channel: string): Promise<unknown> {
    return this.#ask(`sunsubscribe ${channel}`);
  }
  nodes(): readonly [] {
    return [];
  }
  disconnect(): void {
    this.status = 'end';
  }

  async #ask(what: string): Promise<unknown> {
    this.asked.push(what);
    if (this.fault !== undefined) throw this.fault;
    return Promise.resolve(1);
  }
}

function abortError(): Error {
  const error = new Error('No sharded subscriber for slot: 7');
  error.name = 'AbortError';
  return error;
}

/** Lets every promise that can settle do so. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('sharded pub/sub in a Redis Cluster', () => {
  it('[ST8] repeats subscriptions that the client could not make, once it has subscribers', async () => {
    const client = new ScriptedClient();
    const faults: unknown[] = [];
    const connection = new ClusterPubSub(client, (fault) => faults.push(fault));
    client.fault = abortError();
    connection.subscribe('a');
    await settled();
    expect(faults).toEqual([client.fault]);
    client.fault = undefined;
    client.emit('subscribersReady');
    await settled();
    client.emit('subscribersReady');
    await settled();
    expect(client.asked).toEqual(['ssubscribe a', 'ssubscribe a']);
  });

  it('[ST8] leaves made subscriptions to the client, also after its connection broke', async () => {
    const client = new ScriptedClient();
    const connection = new ClusterPubSub(client, () => undefined);
    client.fault = new Error('Connection is closed.');
    connection.subscribe('a');
    await settled();
    client.fault = undefined;
    client.emit('subscribersReady');
    connection.unsubscribe('a');
    client.emit('ready');
    await settled();
    expect(client.asked).toEqual(['ssubscribe a', 'sunsubscribe a']);
  });

  it('[ST8] subscribes when the cluster is there, and publishes nothing while it is not', async () => {
    const client = new ScriptedClient();
    client.status = 'connecting';
    const connection = new ClusterPubSub(client, () => undefined);
    connection.subscribe('a');
    await expect(connection.publish('a', 'x')).rejects.toThrow(/unreachable/);
    expect(client.asked).toEqual([]);
    client.status = 'ready';
    client.emit('ready');
    await connection.publish('a', 'x');
    expect(client.asked).toEqual(['ssubscribe a', 'spublish a']);
  });
});
