import type { Endpoint } from '@plenary/loadtest/impairment';
import type { ProcessPlace } from '@plenary/deploy/local-cluster';
import { askServer, RedisProcess, ServerFolder } from '@plenary/cluster/testing/redis-process';
import { startRedisSentinel } from '@plenary/cluster/testing/redis-sentinel';
import type { ServerPlace } from '@plenary/cluster/testing/redis-sentinel';
import { z } from 'zod';
import { until } from '../harness/until.ts';

const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;
/** Of the disk that is to run full; Redis rewrites nothing while its file is this small. */
const SMALL_DISK_MEGABYTES = 8;

/** One server of a store. */
export interface StoreServer {
  readonly host: string;
  readonly process: RedisProcess;
}

/** The store of a cluster, in the namespaces of its hosts. */
export interface FaultStore {
  readonly kind: StoreKind;
  /** Settings of the processes of a datacenter that use it. */
  settingsIn(datacenter: string): Readonly<Record<string, string>>;
  /** An address that answers at the start. */
  readonly url: string;
  readonly servers: readonly StoreServer[];
  /** None where there is one server only. */
  readonly sentinels: readonly RedisProcess[];
  /** The server that takes writes now. */
  primary(): Promise<StoreServer & { readonly url: string }>;
  /** The last lines of its servers, for a meeting that did not go on. */
  lastWords(): readonly string[];
  /** Waits until it is whole: a primary with all its replicas. */
  untilWhole(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * - `redis`: one, that writes what it is told to its disk
 * - `small-disk`: the same, on a disk of its own of a few megabytes
 * - `sentinels`: a server and a Sentinel in each of three datacenters
 */
export type StoreKind = 'redis' | 'small-disk' | 'sentinels';

/** Where others reach the servers at these places. */
export function storeEndpoints(kind: StoreKind, places: readonly ProcessPlace[]): Endpoint[] {
  const redis = places.map(({ host }) => ({ host, port: REDIS_PORT }));
  if (kind !== 'sentinels') return redis.slice(0, 1);
  return [...redis, ...places.map(({ host }) => ({ host, port: SENTINEL_PORT }))];
}

/** @param places - one in each datacenter; the first has the primary at the start, and the last one is the witness */
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
    // `ip netns exec` gives it mounts of its own: what is mounted there goes with the process.
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
      lastWords: () => ['--- redis', ...process.lastLines],
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
    lastWords: () => [
      ...started.servers.flatMap(({ url, process }) => [
        `--- redis of ${new URL(url).host}`,
        ...process.lastLines,
      ]),
      ...started.sentinels.flatMap(({ lastLines }, index) => [`--- sentinel ${index + 1}`, ...lastLines]),
    ],
    untilWhole: async () => {
      await until(
        'one primary has all the others for its replicas',
        async () => {
          const found = await primaries();
          const [only] = found;
          return {
            primaries: found.length,
            replication: only === undefined ? '' : await replication(only.url),
          };
        },
        ({ primaries: count, replication: told }) =>
          count === 1 && [...told.matchAll(/slave\d+:.*state=online/g)].length === servers.length - 1,
        60_000,
      );
      // A Sentinel that was told last that a replica is a primary, as one that woke was, would take the next primary that is
      // elected for that one, and make it a replica again.
      await until(
        'every Sentinel knows it',
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

/** Whom a Sentinel holds for the primary, what the others last said they are, and whether it only looks on after a standstill. */
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
