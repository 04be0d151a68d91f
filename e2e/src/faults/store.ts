import type { Endpoint } from '@plenary/loadtest/impairment';
import type { ProcessPlace } from '@plenary/deploy/local-cluster';
import { askServer, RedisProcess, ServerFolder } from '@plenary/cluster/testing/redis-process';
import { startRedisSentinel } from '@plenary/cluster/testing/redis-sentinel';
import type { ServerPlace } from '@plenary/cluster/testing/redis-sentinel';
import { z } from 'zod';
import { until } from '../harness/until.ts';

const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;
/** The size of the disk that is to fill up; Redis does not rewrite a file this small. */
const SMALL_DISK_MEGABYTES = 8;

/** One server of a store. */
export interface StoreServer {
  readonly host: string;
  readonly process: RedisProcess;
}

/** A cluster's store, whose servers run in the namespaces of its hosts. */
export interface FaultStore {
  readonly kind: StoreKind;
  /** The environment with which a datacenter's processes use the store. */
  settingsIn(datacenter: string): Readonly<Record<string, string>>;
  /** The address of the first primary. */
  readonly url: string;
  readonly servers: readonly StoreServer[];
  /** Empty for a store with a single server. */
  readonly sentinels: readonly RedisProcess[];
  /** The server that accepts writes now. */
  primary(): Promise<StoreServer & { readonly url: string }>;
  /** The servers' last lines, for the error of a meeting that did not recover. */
  lastLines(): readonly string[];
  /** Waits until a primary has all its replicas. */
  untilWhole(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * - `redis`: one server, with an append-only file on disk
 * - `small-disk`: the same, on a separate disk of a few megabytes
 * - `sentinels`: a server and a Sentinel in each of three datacenters
 */
export type StoreKind = 'redis' | 'small-disk' | 'sentinels';

/** The addresses of the servers at these places. */
export function storeEndpoints(kind: StoreKind, places: readonly ProcessPlace[]): Endpoint[] {
  const redis = places.map(({ host }) => ({ host, port: REDIS_PORT }));
  if (kind !== 'sentinels') return redis.slice(0, 1);
  return [...redis, ...places.map(({ host }) => ({ host, port: SENTINEL_PORT }))];
}

/** @param places - one for each datacenter; the first has the first primary, and the last is the witness */
export function startStore(kind: StoreKind, places: readonly ProcessPlace[]): Promise<FaultStore> {
  const [first] = places;
  if (first === undefined) throw new Error('a store needs a place');
  return kind === 'sentinels' ? startSentinels(places) : startOne(first, kind);
}

const into = ({ namespace }: ProcessPlace): readonly string[] => ['ip', 'netns', 'exec', namespace];

async function startOne(place: ProcessPlace, kind: 'redis' | 'small-disk'): Promise<FaultStore> {
  const { host } = place;
  const folder = await ServerFolder.create();
  try {
    // `ip netns exec` gives the process its own mount namespace, so the mount disappears with the process.
    const mount = `mount -t tmpfs -o size=${SMALL_DISK_MEGABYTES}m tmpfs "$0" && exec "$@"`;
    const through = kind === 'redis' ? into(place) : [...into(place), 'sh', '-c', mount, folder.path];
    const process = await RedisProcess.start(
      folder,
      [
        ...['--port', String(REDIS_PORT), '--bind', host, '--protected-mode', 'no'],
        ...['--dir', folder.path, '--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
      ],
      through,
    );
    const url = `redis://${host}:${REDIS_PORT}`;
    const server = { host, process };
    return {
      kind,
      settingsIn: () => ({ REDIS_URL: url }),
      url,
      servers: [server],
      sentinels: [],
      primary: () => Promise.resolve({ ...server, url }),
      lastLines: () => ['--- redis', ...process.lastLines],
      untilWhole: () => Promise.resolve(),
      stop: () => folder.end(),
    };
  } catch (error) {
    await folder.end();
    throw error;
  }
}

async function startSentinels(places: readonly ProcessPlace[]): Promise<FaultStore> {
  const at = (place: ProcessPlace, port: number): ServerPlace => ({
    host: place.host,
    port,
    through: into(place),
  });
  const started = await startRedisSentinel({
    servers: places.map((place) => at(place, REDIS_PORT)),
    sentinels: places.map((place) => at(place, SENTINEL_PORT)),
  });
  const servers = started.servers.map(({ process, url }) => ({ process, url, host: new URL(url).hostname }));
  const replication = (url: string): Promise<string> =>
    askServer(url, (redis) => redis.info('replication')).catch(() => 'does not answer');
  const primaries = async () => {
    const found: (typeof servers)[number][] = [];
    for (const server of servers)
      if ((await replication(server.url)).includes('role:master')) found.push(server);
    return found;
  };
  return {
    kind: 'sentinels',
    settingsIn: (datacenter) => {
      const own = places.filter((place) => place.datacenter === datacenter);
      const others = places.filter((place) => place.datacenter !== datacenter);
      const sentinels = [...own, ...others].map(({ host }) => `${host}:${SENTINEL_PORT}`);
      return { ...started.settings, PLENARY_REDIS_SENTINELS: sentinels.join(',') };
    },
    url: started.primaryUrl,
    servers,
    sentinels: started.sentinels,
    primary: async () => {
      const [found] = await primaries();
      if (found === undefined) throw new Error('no server of the store is the primary');
      return found;
    },
    lastLines: () => [
      ...started.servers.flatMap(({ url, process }) => [
        `--- redis of ${new URL(url).host}`,
        ...process.lastLines,
      ]),
      ...started.sentinels.flatMap(({ lastLines }, index) => [`--- sentinel ${index + 1}`, ...lastLines]),
    ],
    untilWhole: async () => {
      await until(
        'one primary has all other servers as replicas',
        async () => {
          const found = await primaries();
          const [only] = found;
          return {
            primaries: found.length,
            replication: only === undefined ? '' : await replication(only.url),
          };
        },
        ({ primaries: count, replication: info }) =>
          count === 1 && [...info.matchAll(/slave\d+:.*state=online/g)].length === servers.length - 1,
        60_000,
      );
      // A Sentinel that still takes a replica for a primary, as one that woke up may, would mistake the next elected primary for that one
      // and demote it.
      await until(
        'every Sentinel knows the primary',
        async () => {
          const [primary] = await primaries();
          const views = await Promise.all(started.sentinelUrls.map((url) => viewOf(url, started.name)));
          return { primary: primary?.host, views };
        },
        ({ primary, views }) =>
          views.every(
            ({ host, roles, isTilted }) =>
              host === primary && roles.length === servers.length - 1 && roles.every(isReplica) && !isTilted,
          ),
        60_000,
      );
    },
    stop: () => started.stop(),
  };
}

const isReplica = (role: string): boolean => role === 'slave';

/** A Sentinel's view: its primary, the roles that the other servers last reported, and whether it is in TILT mode after a standstill. */
async function viewOf(
  sentinelUrl: string,
  name: string,
): Promise<{ readonly host: string; readonly roles: readonly string[]; readonly isTilted: boolean }> {
  return askServer(sentinelUrl, async (redis) => {
    const [host] = z
      .tuple([z.string(), z.string()])
      .parse(await redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name));
    const replicas = z.array(z.array(z.string())).parse(await redis.call('SENTINEL', 'REPLICAS', name));
    const roles = replicas.map((fields) => {
      const at = fields.indexOf('role-reported');
      return fields[at + 1] ?? '';
    });
    const isTilted = !(await redis.info('sentinel')).includes('sentinel_tilt:0');
    return { host, roles, isTilted };
  });
}
