import { entry } from '../process/entry.ts';
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
  /** Whether Consul answers, where the registry is there; `/ready` depends on it, `/health` does not. */
  readonly consul: Pick<ConsulHealth, 'isAvailable' | 'onChange' | 'trouble' | 'onTrouble'> | undefined;
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
  /** The time at Redis, in milliseconds since the epoch. @throws PlenaryError `store_unavailable` */
  timeMs(): Promise<number>;
  /** Why the store is away, or a part of it; `undefined` while all is well. */
  trouble(): StoreTrouble | undefined;
  /** Calls back on each change of the trouble. Returns the function that ends it. */
  onTrouble(listener: (trouble: StoreTrouble | undefined) => void): () => void;
  /** Why nothing can be published or heard while the store serves; `undefined` while all is well. */
  pubSubTrouble(): StoreTrouble | undefined;
  /** Calls back on each change of that. Returns the function that ends it. */
  onPubSubTrouble(listener: (trouble: StoreTrouble | undefined) => void): () => void;
  /** Calls back for each record that was skipped since it does not parse (SPEC ST3). Returns the function that ends it. */
  onMalformed(listener: (kind: MalformedKind) => void): () => void;
  /**
   * A connection of its own, for the Socket.IO adapter's publisher or subscriber; closed with the store.
   * @param onFault - told when a subscription fails; it is made again by itself
   */
  duplicate(name: string, onFault: (fault: unknown) => void): PubSubConnection;
  close(): Promise<void>;
}

/** Of so many keys one is in the slots of any master that has its share of them. */
const PROBE_TAGS = 100;

export interface ConnectOptions {
  readonly address: StoreAddress;
  readonly namespace: Namespace;
  /** Where it is given, Consul says who lives, and Redis only how busy they are. */
  readonly consul?: ConsulSettings | undefined;
  /** Shown in `CLIENT LIST`. */
  readonly connectionName: string;
  /** Only looks up: a store whose user may not write serves it. */
  readonly readsOnly?: boolean;
  readonly logger: Logger;
}

/** Connects to the store; returns at once, and connects again by itself for ever. */
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
    entry('store', () => evictionWatch.check()),
  );
  // What one of the masters of a Redis Cluster does not serve another one may.
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
  /** Whether the master of a Redis Cluster that has a key is known to answer nothing. */
  isSilent(key: string): boolean;
  /** To which server commands go, where it is one. */
  readonly identity: ServerIdentity | undefined;
  /** To be told of each command that failed as in an outage. */
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
  // A command must fail at once while the store is away: who asked decides what that means.
  const enableOfflineQueue = false;
  const onRefusal = readsOnly ? unlessForbidden : refused;
  const write = async (redis: Redis, tag: number): Promise<unknown> =>
    runOnServer(redis, 'probeWrites', [keys.probe(tag)], []).catch(onRefusal);
  if (address.kind === 'cluster') {
    const cluster = openCluster(address, connectionName, { enableOfflineQueue });
    cluster.on('error', entry('store', onError));
    cluster.on('node error', entry('store', onError));
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
  redis.on('error', entry('store', onError));
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

/** A server that lets its user not write the probe serves a process that only looks up. */
function unlessForbidden(error: unknown): undefined {
  if (storeTroubleOf(error) !== 'access_denied') throw error;
}

/** The tag of a probe whose key is in one of the slots; none for a master that has next to none of them. */
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
