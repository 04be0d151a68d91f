/** Opens connections to each kind of store. Connections reconnect automatically, without a limit. */
import { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { guardCallback } from '../process/guarded-callbacks.ts';
import { LastingRedis } from './lasting-redis.ts';
import { leaveSilent } from './leave-silent.ts';
import type { ServerOptions } from './lasting-redis.ts';
import type { StoreAddress } from './store-address.ts';
import { isReplyError, storeTroubleOf } from './store-trouble.ts';

/** A connection for commands: one Redis, the primary that Sentinels name, or a whole Redis Cluster. */
export type StoreClient = Redis | Cluster;

const FIRST_RECONNECT_MS = 50;
const LONGEST_RECONNECT_MS = 1_000;
/** A Sentinel or server whose datacenter is lost must not hold up the next one in the list. */
const CONNECT_TIMEOUT_MS = 1_000;
/** A healthy Sentinel answers at once; a hanging one must not hold up the next in the list. */
const SENTINEL_TIMEOUT_MS = 500;
/**
 * The process does not wait longer for an answer to the goodbye, since the server may be lost and nothing continues
 * before.
 */
const GOODBYE_TIMEOUT_MS = 250;

/**
 * A connection that delivers nothing for this long while a command waits is replaced, in milliseconds: its host may be
 * lost, or a NAT may have forgotten it, and then no packet ever reports that. A little longer than any command is
 * waited for, so that a slow connection is not cut (SPEC HL2).
 */
const SILENT_AFTER_MS = 2_500;
/** How often connections that may carry nothing are checked for an answer, in milliseconds. */
export const SIGN_OF_LIFE_MS = 1_000;

export const reconnectAfterMs = (attempt: number): number =>
  Math.min(FIRST_RECONNECT_MS * 2 ** Math.min(attempt, 10), LONGEST_RECONNECT_MS);

/** A server that stays read-only is looked up again at most this often, in milliseconds. */
const REPLACE_READ_ONLY_MS = 2_000;

/** @returns the same predicate, which gives `true` at most once per `pauseMs` */
function oncePerPause(pauseMs: number, predicate: (error: Error) => boolean): (error: Error) => boolean {
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs < notBeforeMs || !predicate(error)) return false;
    notBeforeMs = nowMs + pauseMs;
    return true;
  };
}

type OneServer = Exclude<StoreAddress, { readonly kind: 'cluster' }>;
type OneCluster = Extract<StoreAddress, { readonly kind: 'cluster' }>;

/** Omits an absent value: ioredis takes a property that is `undefined` for a value. */
function given<Value>(name: string, value: Value | undefined): Record<string, Value> {
  return value === undefined ? {} : { [name]: value };
}

/** Opens a connection to one Redis, or to the primary that Sentinels name. */
export function openServer(address: OneServer, connectionName: string, options: ServerOptions = {}): Redis {
  const common: ServerOptions = {
    connectionName,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: GOODBYE_TIMEOUT_MS,
    retryStrategy: reconnectAfterMs,
    // A primary that became a replica while this connection stayed open: reconnecting finds the right one.
    reconnectOnError: oncePerPause(REPLACE_READ_ONLY_MS, (error) => storeTroubleOf(error) === 'read_only'),
    ...options,
  };
  // The watch checks by a write whether the server serves. ioredis would only wait for one that loads its data, without
  // a report. Behind Sentinels its check also tells a primary from a replica.
  if (address.kind === 'single')
    return watched(leaveUnselected(new Redis(address.url, { enableReadyCheck: false, ...common })));
  const lasting = new LastingRedis({
    ...common,
    role: 'master',
    name: address.name,
    sentinels: [...address.sentinels],
    sentinelRetryStrategy: reconnectAfterMs,
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    // Sentinels announce a failover, because a primary that hangs does not close its connections.
    failoverDetector: true,
    ...given('natMap', address.natMap),
    ...given('username', address.username),
    ...given('password', address.password),
    ...given('sentinelUsername', address.sentinelUsername),
    ...given('sentinelPassword', address.sentinelPassword),
    ...(address.tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  });
  return watched(lasting);
}

const FAILED_COMMAND = z.object({ command: z.object({ name: z.literal('select') }) });

/**
 * If a database cannot be selected – it does not exist, or Redis is busy at that moment – ioredis continues, and writes
 * everything to the first one, perhaps over the keys of another cluster (SPEC NS8). So this connection is closed.
 */
function leaveUnselected(redis: Redis): Redis {
  redis.on(
    'error',
    guardCallback('store', (error) => {
      if (isReplyError(error) && FAILED_COMMAND.safeParse(error).success) redis.disconnect(true);
    }),
  );
  return redis;
}

const TOO_MANY_CLIENTS = /^-(ERR max number of clients[^\r]*)/;

/**
 * A server with too many clients says so once, in answer to the first command, and closes. Without a password that
 * command is the connection's name, whose answer ioredis ignores: the operator would read of a closed connection
 * without a reason.
 */
function hearRefusal<Server extends Redis>(redis: Server): Server {
  redis.on(
    'connect',
    guardCallback('store', () => {
      redis.stream.once(
        'data',
        guardCallback('store', (first: Buffer) => {
          const [, refusal] = TOO_MANY_CLIENTS.exec(first.toString('latin1')) ?? [];
          if (refusal !== undefined) redis.emit('error', new Error(refusal));
        }),
      );
    }),
  );
  return redis;
}

/** Reports the reason of a server that refuses the connection, and leaves a silent one. */
function watched<Server extends Redis>(redis: Server): Server {
  leaveSilent(redis, SILENT_AFTER_MS);
  return hearRefusal(redis);
}

/** The number of the database that holds the keys. A URL may name one; Sentinels and a Redis Cluster do not. */
export function databaseOf(address: StoreAddress): number {
  return address.kind === 'single' ? (new Redis(address.url, { lazyConnect: true }).options.db ?? 0) : 0;
}

/** Opens connections to a Redis Cluster: one for each of its masters. */
export function openCluster(
  address: OneCluster,
  connectionName: string,
  options: { readonly shardedSubscribers?: boolean; readonly enableOfflineQueue?: boolean } = {},
): Cluster {
  const cluster = new Cluster([...address.nodes], {
    ...options,
    clusterRetryStrategy: reconnectAfterMs,
    ...given('natMap', address.natMap),
    // An outage of one master fails the command at once; the caller decides whether to try again.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    // Each connection resolves names by itself: with TLS the certificate is checked against the name.
    dnsLookup: (host, done) => done(null, host),
    redisOptions: {
      connectionName,
      connectTimeout: CONNECT_TIMEOUT_MS,
      disconnectTimeout: GOODBYE_TIMEOUT_MS,
      // These options are for subscribing connections, which ioredis hides.
      socketTimeout: SILENT_AFTER_MS,
      ...given('username', address.username),
      ...given('password', address.password),
      ...(address.tls ? { tls: {} } : {}),
    },
  });
  cluster.on(
    '+node',
    guardCallback('store', (node: Redis) => {
      delete node.options.socketTimeout;
      watched(node);
    }),
  );
  return cluster;
}
