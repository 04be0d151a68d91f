import { Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import type { Availability } from '../consul/availability.ts';
import { ConsulRegistry } from '../consul/consul-registry.ts';
import type { ConsulSettings } from '../consul/settings.ts';
import type { Registry } from '../registry/registry.ts';
import type { RoomStore } from '../room/room-store.ts';
import { RedisRegistry } from './redis-registry.ts';
import { RedisRoomStore } from './redis-room-store.ts';
import { scriptRunner } from './run-script.ts';

/** A store that does not answer within this time counts as away for that command, in milliseconds. */
const COMMAND_TIMEOUT_MS = 2_000;
const LONGEST_RECONNECT_MS = 1_000;

/** The store of the cluster as a process sees it: one connection for commands, more on demand. */
export interface ClusterStore {
  readonly registry: Registry;
  readonly rooms: RoomStore;
  /** Whether Consul answers, where the registry is there; `/ready` depends on it, `/health` does not. */
  readonly consul: Pick<Availability, 'isAvailable' | 'onChange'> | undefined;
  /** Whether commands are being answered now; `/ready` depends on it, `/health` does not. */
  isAvailable(): boolean;
  /** Calls back on each change of availability; returns the function that ends it. */
  onAvailability(listener: (available: boolean) => void): () => void;
  /** A connection of its own, for the Socket.IO adapter's publisher or subscriber; closed with the store. */
  duplicate(name: string): Redis;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly redisUrl: string;
  /** Where it is given, Consul says who lives, and Redis only how busy they are. */
  readonly consul?: ConsulSettings | undefined;
  /** Shown in `CLIENT LIST`. */
  readonly connectionName: string;
  readonly logger: Logger;
}

/** Connects to the store; returns at once, and connects again by itself for ever. */
export function connectClusterStore(options: ConnectOptions): ClusterStore {
  const { logger } = options;
  const common: RedisOptions = {
    connectionName: options.connectionName,
    connectTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), LONGEST_RECONNECT_MS),
  };
  const redis = new Redis(options.redisUrl, {
    ...common,
    // A command must fail at once while the store is away: who asked decides what that means.
    enableOfflineQueue: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
  });
  const opened: Redis[] = [redis];
  const listeners = new Set<(available: boolean) => void>();
  let available = false;
  const change = (to: boolean): void => {
    if (available === to) return;
    available = to;
    if (to) logger.info('the store answers');
    else logger.warn('the store is away: running meetings go on, joins are refused until it returns');
    for (const listener of listeners) listener(to);
  };
  const watch = (connection: Redis, name: string): void => {
    connection.on('error', (error: Error) => {
      logger.debug({ err: error, connection: name }, 'store connection failed; connecting again');
    });
  };
  watch(redis, 'commands');
  redis.on('ready', () => change(true));
  redis.on('close', () => change(false));

  const run = scriptRunner(redis);
  const redisRegistry = new RedisRegistry(run, (detail) =>
    logger.error({ detail }, 'skipped a malformed registry record'),
  );
  const consulRegistry =
    options.consul === undefined
      ? undefined
      : new ConsulRegistry({ consul: options.consul, loads: redisRegistry, logger });
  return {
    registry: consulRegistry ?? redisRegistry,
    consul: consulRegistry?.availability,
    rooms: new RedisRoomStore(redis, run),
    isAvailable: () => available,
    onAvailability: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    duplicate: (name) => {
      const connection = new Redis(options.redisUrl, {
        ...common,
        connectionName: `${options.connectionName}:${name}`,
        maxRetriesPerRequest: null,
      });
      watch(connection, name);
      opened.push(connection);
      return connection;
    },
    close: async () => {
      listeners.clear();
      consulRegistry?.close();
      for (const connection of opened) connection.disconnect();
      await Promise.resolve();
    },
  };
}
