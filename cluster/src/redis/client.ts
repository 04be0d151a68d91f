/** How each kind of store is connected to. Connections connect again by themselves, for ever. */
import { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { entry } from '../process/entry.ts';
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
/** A Sentinel keeps little and answers at once; one that hangs must not hold up the next one either. */
const SENTINEL_TIMEOUT_MS = 500;
/** A server that is left may be lost: its answer to the goodbye is not waited for, since nothing goes on before. */
const GOODBYE_TIMEOUT_MS = 250;

/**
 * A connection over which nothing comes for so long although a command waits is given up for a new one, in milliseconds:
 * its host may be lost, or a NAT may have forgotten it, and then no packet ever tells. A little longer than any command is
 * waited for, so that what is only slow is not cut off (SPEC HL2).
 */
const SILENT_AFTER_MS = 2_500;
/** How often connections that nothing may go over are asked for a sign of life, in milliseconds. */
export const SIGN_OF_LIFE_MS = 1_000;

export const reconnectAfterMs = (attempt: number): number =>
  Math.min(FIRST_RECONNECT_MS * 2 ** Math.min(attempt, 10), LONGEST_RECONNECT_MS);

/** A server that stays read-only is looked up again no more often than that, in milliseconds. */
const REPLACE_READ_ONLY_MS = 2_000;

/** @returns the same question, of which one `true` keeps the next away for a while */
function atMostEvery(pauseMs: number, question: (error: Error) => boolean): (error: Error) => boolean {
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs < notBeforeMs || !question(error)) return false;
    notBeforeMs = nowMs + pauseMs;
    return true;
  };
}

type OneServer = Exclude<StoreAddress, { readonly kind: 'cluster' }>;
type OneCluster = Extract<StoreAddress, { readonly kind: 'cluster' }>;

/** Leaves out what is not given: ioredis takes a property that is `undefined` for a value. */
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
    // A primary that was made a replica while we held on to it: the right one is found by connecting again.
    reconnectOnError: atMostEvery(REPLACE_READ_ONLY_MS, (error) => storeTroubleOf(error) === 'read_only'),
    ...options,
  };
  // The watch finds out by a write whether it serves; ioredis would only wait for one that loads its data, and say nothing. Behind
  // Sentinels its check also tells a primary from a replica.
  if (address.kind === 'single')
    return watched(leaveUnselected(new Redis(address.url, { enableReadyCheck: false, ...common })));
  const lasting = new LastingRedis({
    ...common,
    role: 'master',
    name: address.name,
    sentinels: [...address.sentinels],
    sentinelRetryStrategy: reconnectAfterMs,
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    // Told of a failover, not left to find out: a primary that hangs does not close its connections.
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
 * ioredis goes on where a database cannot be selected – there is none of that number, or Redis is busy in that moment –, and everything
 * would be written to the first one: the keys of another cluster, maybe (SPEC NS8).
 */
function leaveUnselected(redis: Redis): Redis {
  redis.on(
    'error',
    entry('store', (error) => {
      if (isReplyError(error) && FAILED_COMMAND.safeParse(error).success) redis.disconnect(true);
    }),
  );
  return redis;
}

const TOO_MANY_CLIENTS = /^-(ERR max number of clients[^\r]*)/;

/**
 * A server with too many clients says so once, in answer to what is sent first, and closes. Where there is no password to send, that is
 * the name of the connection, whose answer ioredis ignores: the operator would read of a connection that ends, and of no reason.
 */
function hearRefusal<Server extends Redis>(redis: Server): Server {
  redis.on(
    'connect',
    entry('store', () => {
      redis.stream.once(
        'data',
        entry('store', (first: Buffer) => {
          const [, refusal] = TOO_MANY_CLIENTS.exec(first.toString('latin1')) ?? [];
          if (refusal !== undefined) redis.emit('error', new Error(refusal));
        }),
      );
    }),
  );
  return redis;
}

/** Hears what a server says that refuses the connection, and leaves one that says nothing. */
function watched<Server extends Redis>(redis: Server): Server {
  leaveSilent(redis, SILENT_AFTER_MS);
  return hearRefusal(redis);
}

/** The number of the database that keys are in: a URL may name one, Sentinels and a Redis Cluster do not. */
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
    // An outage of one master is told at once; who asked decides whether to try again.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    // Names are resolved by each connection itself: with TLS it is the name that the certificate is held against.
    dnsLookup: (host, done) => done(null, host),
    redisOptions: {
      connectionName,
      connectTimeout: CONNECT_TIMEOUT_MS,
      disconnectTimeout: GOODBYE_TIMEOUT_MS,
      // For connections that subscribe, which nobody but ioredis sees.
      socketTimeout: SILENT_AFTER_MS,
      ...given('username', address.username),
      ...given('password', address.password),
      ...(address.tls ? { tls: {} } : {}),
    },
  });
  cluster.on(
    '+node',
    entry('store', (node: Redis) => {
      delete node.options.socketTimeout;
      watched(node);
    }),
  );
  return cluster;
}
