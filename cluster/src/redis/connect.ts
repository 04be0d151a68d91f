import { guardCallback } from '../process/guarded-callbacks.ts';
import type { Logger } from 'pino';
import type { ConsulHealth } from '../consul/consul-health.ts';
import { ConsulRegistry } from '../consul/consul-registry.ts';
import type { ConsulSettings } from '../consul/settings.ts';
import type { Registry } from '../registry/registry.ts';
import type { RoomStores } from '../room/room-stores.ts';
import type { Namespace } from '../namespace.ts';
import { databaseOf, openCluster, openServer } from './client.ts';
import type { StoreClient } from './client.ts';
import { ClusterWatch } from './cluster-watch.ts';
import type { ProbeMaster } from './cluster-watch.ts';
import type { Coverage } from './cluster-watch.ts';
import { StoreHealth } from './store-health.ts';
import { storeTroubleOf } from './store-trouble.ts';
import type { StoreTrouble } from './store-trouble.ts';
import { channelPrefixOf, keysOf } from './keys.ts';
import type { StoreKeys } from './keys.ts';
import { Cluster } from 'ioredis';
import type { Redis } from 'ioredis';
import { PlenaryError } from '../errors.ts';
import { MalformedRecords } from './malformed.ts';
import type { MalformedKind } from './malformed.ts';
import { openPubSub } from './open-pubsub.ts';
import type { PubSubConnection } from './pubsub-connection.ts';
import type { TenantStore } from '../tenant/tenant-store.ts';
import { EvictionWatch } from './eviction-watch.ts';
import { PubSubWatch } from './pubsub-watch.ts';
import { CommandGate } from './command-gate.ts';
import { ServerIdentity } from './server-identity.ts';
import { ServerWatch } from './server-watch.ts';
import { RedisRegistry } from './redis-registry.ts';
import { redisRoomStores } from './redis-room-stores.ts';
import { RedisTenantStore } from './redis-tenant-store.ts';
import { guarded, runOnServer, scriptRunner } from './run-script.ts';
import type { StoreAddress } from './store-address.ts';

/** The store of the cluster as a process sees it: one connection for commands, more on demand. */
export interface ClusterStore extends RoomStores {
  readonly registry: Registry;
  readonly tenants: TenantStore;
  /** The health of Consul, if the registry is there; `/ready` depends on it, `/health` does not. */
  readonly consul: Pick<ConsulHealth, 'isAvailable' | 'onChange' | 'trouble' | 'onTrouble'> | undefined;
  /** The prefix of the channels of this cluster's Socket.IO adapter. */
  readonly channelPrefix: string;
  /**
   * Whether the store answers commands now; `/ready` depends on it, `/health` does not. A Redis Cluster that lost some
   * of its masters is available: their keys give `store_unavailable`, the others are served.
   */
  isAvailable(): boolean;
  /**
   * Calls back on each change of availability, and with `true` also when a lost part of a Redis Cluster is served
   * again, because it may have lost writes. Returns the function that unsubscribes.
   */
  onAvailability(listener: (available: boolean) => void): () => void;
  /** The time at Redis, in milliseconds since the epoch. @throws PlenaryError `store_unavailable` */
  timeMs(): Promise<number>;
  /** The reason why the store, or a part of it, is down; `undefined` while all is well. */
  trouble(): StoreTrouble | undefined;
  /** Calls back on each change of the trouble. Returns the function that unsubscribes. */
  onTrouble(listener: (trouble: StoreTrouble | undefined) => void): () => void;
  /** The reason why pub/sub fails while the store serves; `undefined` while all is well. */
  pubSubTrouble(): StoreTrouble | undefined;
  /** Calls back on each change of the pub/sub trouble. Returns the function that unsubscribes. */
  onPubSubTrouble(listener: (trouble: StoreTrouble | undefined) => void): () => void;
  /**
   * Calls back for each record that was skipped because it does not parse (SPEC ST3). Returns the function that
   * unsubscribes.
   */
  onMalformed(listener: (kind: MalformedKind) => void): () => void;
  /**
   * Opens a separate connection for the Socket.IO adapter's publisher or subscriber; it closes with the store.
   * @param onFault - called when a subscription fails; the connection repeats it
   */
  duplicate(name: string, onFault: (fault: unknown) => void): PubSubConnection;
  close(): Promise<void>;
}

/** Among this many keys, at least one is in the slots of any master that has its share of them. */
const PROBE_TAGS = 100;

export interface ConnectOptions {
  readonly address: StoreAddress;
  readonly namespace: Namespace;
  /** If given, Consul is the registry, and Redis only has the loads. */
  readonly consul?: ConsulSettings | undefined;
  /** The name in `CLIENT LIST`. */
  readonly connectionName: string;
  /** The process only reads: a store whose user may not write is enough. */
  readonly readsOnly?: boolean;
  readonly logger: Logger;
}

/** Connects to the store; returns at once, and reconnects without a limit. */
export function connectClusterStore({
  address,
  namespace,
  consul,
  connectionName,
  readsOnly = false,
  logger,
}: ConnectOptions): ClusterStore {
  const listeners = new Set<(available: boolean) => void>();
  const troubleListeners = new Set<(trouble: StoreTrouble | undefined) => void>();
  const health = new StoreHealth(
    {
      onAvailability: (available) => {
        for (const listener of listeners) listener(available);
      },
      onTrouble: (trouble) => {
        for (const listener of troubleListeners) listener(trouble);
      },
    },
    logger,
  );
  const reporterOf = (connection: string) => (error: Error) => {
    logger.debug({ err: error, connection }, 'store connection failed; connecting again');
  };

  const keys = keysOf(namespace);
  const { client, isSilent, suspect, identity, stop } = openWatched({
    address,
    connectionName,
    keys,
    readsOnly,
    onFound: (...found) => health.found(...found),
    onError: reporterOf('commands'),
  });
  const evictionWatch = new EvictionWatch(
    () => (client instanceof Cluster ? client.nodes('master') : [client]),
    logger,
  );
  client.on(
    'ready',
    guardCallback('store', () => evictionWatch.check()),
  );
  // A command that one master of a Redis Cluster does not serve may be served by another.
  const gate = new CommandGate((key) =>
    address.kind === 'cluster' ? key === undefined || !isSilent(key) : health.isAvailable,
  );
  const run = scriptRunner(client, suspect, gate);
  const malformed = new MalformedRecords(logger);
  const redisRegistry = new RedisRegistry(run, keys, (detail) => malformed.report('registry', detail));
  const consulRegistry =
    consul === undefined
      ? undefined
      : new ConsulRegistry({ consul, namespace, loads: redisRegistry, logger });
  const duplicates: PubSubConnection[] = [];
  const pubSubListeners = new Set<(trouble: StoreTrouble | undefined) => void>();
  const pubSubWatch = new PubSubWatch(
    () => health.isAvailable,
    duplicates,
    (trouble) => {
      for (const listener of pubSubListeners) listener(trouble);
    },
    logger,
  );
  return {
    registry: consulRegistry ?? redisRegistry,
    consul: consulRegistry?.availability,
    ...redisRoomStores({ redis: client, run, keys, report: malformed.report, gate }),
    tenants: new RedisTenantStore(run, keys),
    channelPrefix: channelPrefixOf(namespace, databaseOf(address)),
    isAvailable: () => health.isAvailable,
    timeMs: async () => guarded(gate, undefined, async () => timeOf(client)),
    trouble: () => health.trouble,
    onTrouble: (listener) => {
      troubleListeners.add(listener);
      return () => troubleListeners.delete(listener);
    },
    pubSubTrouble: () => pubSubWatch.trouble,
    onPubSubTrouble: (listener) => {
      pubSubListeners.add(listener);
      return () => pubSubListeners.delete(listener);
    },
    onAvailability: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onMalformed: (listener) => malformed.onRecord(listener),
    duplicate: (name, onFault) => {
      const connection = openPubSub(
        address,
        `${connectionName}:${name}`,
        onFault,
        reporterOf(name),
        identity,
      );
      duplicates.push(connection);
      return connection;
    },
    close: async () => {
      health.close();
      pubSubWatch.stop();
      evictionWatch.stop();
      pubSubListeners.clear();
      listeners.clear();
      troubleListeners.clear();
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
  /** Whether the master of a key in a Redis Cluster is known not to answer. */
  isSilent(key: string): boolean;
  /** The server that commands go to, unless the store is a Redis Cluster. */
  readonly identity: ServerIdentity | undefined;
  /** Call this for each command that failed as in an outage. */
  suspect(): void;
  stop(): void;
}

interface WatchOptions {
  readonly address: StoreAddress;
  readonly connectionName: string;
  readonly keys: StoreKeys;
  readonly readsOnly: boolean;
  readonly onFound: (reach: Coverage, trouble: StoreTrouble | undefined) => void;
  readonly onError: (error: Error) => void;
}

function openWatched({
  address,
  connectionName,
  keys,
  readsOnly,
  onFound,
  onError,
}: WatchOptions): WatchedClient {
  // A command must fail at once while the store is down: the caller decides what that means.
  const enableOfflineQueue = false;
  const onRefusal = readsOnly ? unlessForbidden : refused;
  const write = async (redis: Redis, tag: number): Promise<unknown> =>
    runOnServer(redis, 'probeWrites', [keys.probe(tag)], []).catch(onRefusal);
  if (address.kind === 'cluster') {
    const cluster = openCluster(address, connectionName, { enableOfflineQueue });
    cluster.on('error', guardCallback('store', onError));
    cluster.on('node error', guardCallback('store', onError));
    const probe: ProbeMaster = async (master, slots) => {
      const tag = await tagIn(master, keys, slots).catch(onRefusal);
      if (tag !== undefined) await write(master, tag);
    };
    const watch = new ClusterWatch(cluster, probe, onFound);
    return {
      client: cluster,
      isSilent: (key) => watch.isSilent(key),
      identity: undefined,
      suspect: () => watch.suspect(),
      stop: () => watch.stop(),
    };
  }
  const redis = openServer(address, connectionName, { enableOfflineQueue, maxRetriesPerRequest: 0 });
  redis.on('error', guardCallback('store', onError));
  const watch = new ServerWatch(
    redis,
    () => write(redis, 0),
    (trouble) => onFound(trouble === undefined ? 'whole' : 'none', trouble),
  );
  return {
    client: redis,
    isSilent: () => false,
    identity: new ServerIdentity(redis),
    suspect: () => watch.suspect(),
    stop: () => watch.stop(),
  };
}

async function timeOf(client: StoreClient): Promise<number> {
  const server = client instanceof Cluster ? client.nodes('master')[0] : client;
  if (server === undefined) throw new PlenaryError('store_unavailable', 'No master is known.');
  const [seconds, micros] = await server.time();
  return Number(seconds) * 1_000 + Number(micros) / 1_000;
}

function refused(error: unknown): never {
  throw error;
}

/** A server whose user may not write the probe still serves a process that only reads. */
function unlessForbidden(error: unknown): undefined {
  if (storeTroubleOf(error) !== 'access_denied') throw error;
}

/** The tag of a probe whose key is in one of the slots; none for a master with too few of them. */
async function tagIn(
  master: Redis,
  keys: StoreKeys,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<number | undefined> {
  const slots = await Promise.all(
    Array.from({ length: PROBE_TAGS }, async (_, tag) => master.cluster('KEYSLOT', keys.probe(tag))),
  );
  const tag = slots.findIndex((slot) => slot >= first && slot <= last);
  return tag === -1 ? undefined : tag;
}
