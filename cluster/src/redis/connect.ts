import { entry } from '../process/entry.ts';
import type { Logger } from 'pino';
import type { Availability } from '../consul/availability.ts';
import { ConsulRegistry } from '../consul/consul-registry.ts';
import type { ConsulSettings } from '../consul/settings.ts';
import type { Registry } from '../registry/registry.ts';
import type { RoomStore } from '../room/room-store.ts';
import type { Namespace } from '../namespace.ts';
import { databaseOf, openCluster, openServer } from './client.ts';
import type { StoreClient } from './client.ts';
import { ClusterWatch } from './cluster-watch.ts';
import type { Reach } from './cluster-watch.ts';
import { channelPrefixOf, keysOf } from './keys.ts';
import { MalformedRecords } from './malformed.ts';
import type { MalformedKind } from './malformed.ts';
import { openPubSub } from './pubsub-connection.ts';
import type { PubSubConnection } from './pubsub-connection.ts';
import type { TenantStore } from '../tenant/tenant-store.ts';
import { CommandGate } from './command-gate.ts';
import { ServerWatch } from './server-watch.ts';
import { RedisRegistry } from './redis-registry.ts';
import { RedisRoomStore } from './redis-room-store.ts';
import { RedisTenantStore } from './redis-tenant-store.ts';
import { scriptRunner } from './run-script.ts';
import type { StoreAddress } from './store-address.ts';

/** The store of the cluster as a process sees it: one connection for commands, more on demand. */
export interface ClusterStore {
  readonly registry: Registry;
  readonly rooms: RoomStore;
  readonly tenants: TenantStore;
  /** Whether Consul answers, where the registry is there; `/ready` depends on it, `/health` does not. */
  readonly consul: Pick<Availability, 'isAvailable' | 'onChange'> | undefined;
  /** What the channels of this cluster's Socket.IO adapter begin with. */
  readonly channelPrefix: string;
  /**
   * Whether commands are being answered now; `/ready` depends on it, `/health` does not. A Redis Cluster that lost some of
   * its masters is available: what is theirs gives `store_unavailable`, the rest is served.
   */
  isAvailable(): boolean;
  /**
   * Calls back on each change of availability, and with `true` as well when a part of a Redis Cluster that was away is
   * served again: it may have forgotten what it was told. Returns the function that ends it.
   */
  onAvailability(listener: (available: boolean) => void): () => void;
  /** Calls back for each record that was skipped since it does not parse (SPEC ST3). Returns the function that ends it. */
  onMalformed(listener: (kind: MalformedKind) => void): () => void;
  /**
   * A connection of its own, for the Socket.IO adapter's publisher or subscriber; closed with the store.
   * @param onFault - told when a subscription fails; it is made again by itself
   */
  duplicate(name: string, onFault: (fault: unknown) => void): PubSubConnection;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly address: StoreAddress;
  readonly namespace: Namespace;
  /** Where it is given, Consul says who lives, and Redis only how busy they are. */
  readonly consul?: ConsulSettings | undefined;
  /** Shown in `CLIENT LIST`. */
  readonly connectionName: string;
  readonly logger: Logger;
}

/** Connects to the store; returns at once, and connects again by itself for ever. */
export function connectClusterStore({
  address,
  namespace,
  consul,
  connectionName,
  logger,
}: ConnectOptions): ClusterStore {
  const listeners = new Set<(available: boolean) => void>();
  let reach: Reach = 'none';
  let isClosed = false;
  const change = (to: Reach): void => {
    if (reach === to || isClosed) return;
    const wasAvailable = reach !== 'none';
    reach = to;
    if (to === 'part') logger.warn('a part of the store is away: its rooms take no joins until it returns');
    else if (to === 'whole') logger.info('the store answers');
    else logger.warn('the store is away: running meetings go on, joins are refused until it returns');
    if (to === 'part' && wasAvailable) return;
    for (const listener of listeners) listener(to !== 'none');
  };
  const reporterOf = (connection: string) => (error: Error) => {
    logger.debug({ err: error, connection }, 'store connection failed; connecting again');
  };

  const { client, suspect, stop } = openWatched(address, connectionName, change, reporterOf('commands'));
  // A Redis Cluster is asked in any case: what one of its masters does not serve another one may.
  const gate = new CommandGate(() => address.kind === 'cluster' || reach !== 'none');
  const run = scriptRunner(client, suspect, gate);
  const keys = keysOf(namespace);
  const malformed = new MalformedRecords(logger);
  const redisRegistry = new RedisRegistry(run, keys, (detail) => malformed.report('registry', detail));
  const consulRegistry =
    consul === undefined
      ? undefined
      : new ConsulRegistry({ consul, namespace, loads: redisRegistry, logger });
  const duplicates: PubSubConnection[] = [];
  return {
    registry: consulRegistry ?? redisRegistry,
    consul: consulRegistry?.availability,
    rooms: new RedisRoomStore(client, run, keys, malformed.report, gate),
    tenants: new RedisTenantStore(run, keys),
    channelPrefix: channelPrefixOf(namespace, databaseOf(address)),
    isAvailable: () => reach !== 'none',
    onAvailability: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onMalformed: (listener) => malformed.onRecord(listener),
    duplicate: (name, onFault) => {
      const connection = openPubSub(address, `${connectionName}:${name}`, onFault, reporterOf(name));
      duplicates.push(connection);
      return connection;
    },
    close: async () => {
      isClosed = true;
      reach = 'none';
      listeners.clear();
      consulRegistry?.close();
      stop();
      client.disconnect();
      for (const connection of duplicates) connection.close();
      await Promise.resolve();
    },
  };
}

interface WatchedClient {
  readonly client: StoreClient;
  /** To be told of each command that failed as in an outage. */
  suspect(): void;
  stop(): void;
}

function openWatched(
  address: StoreAddress,
  connectionName: string,
  onChange: (reach: Reach) => void,
  onError: (error: Error) => void,
): WatchedClient {
  // A command must fail at once while the store is away: who asked decides what that means.
  const enableOfflineQueue = false;
  if (address.kind === 'cluster') {
    const cluster = openCluster(address, connectionName, { enableOfflineQueue });
    cluster.on('error', entry('store', onError));
    cluster.on('node error', entry('store', onError));
    const watch = new ClusterWatch(cluster, onChange);
    return { client: cluster, suspect: () => watch.suspect(), stop: () => watch.stop() };
  }
  const redis = openServer(address, connectionName, { enableOfflineQueue, maxRetriesPerRequest: 0 });
  redis.on('error', entry('store', onError));
  const watch = new ServerWatch(redis, (answers) => onChange(answers ? 'whole' : 'none'));
  return { client: redis, suspect: () => undefined, stop: () => watch.stop() };
}
