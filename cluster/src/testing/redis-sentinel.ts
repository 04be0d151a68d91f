import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { askServer, guardedUrl, RedisProcess, ServerFolder, TEST_REDIS_PASSWORD } from './redis-process.ts';
import type { Launcher } from './redis-process.ts';
import type { StoreLogin, TestStore } from './redis-server.ts';
import { userOf, usersConfiguration } from './redis-users.ts';
import { waitFor } from './wait-for.ts';

const NAME = 'plenary';
const SERVERS = 3;
const SENTINELS = 3;
/** What operators are given is what is tested. */
const SHIPPED = new URL('../../../deploy/redis/', import.meta.url);
const REPLICATED_CONF = new URL('replicated.conf', SHIPPED);
const SENTINEL_CONF = new URL('sentinel.conf', SHIPPED);

/** Where a server runs and listens. */
export interface ServerPlace {
  readonly host: string;
  readonly port: number;
  readonly through?: Launcher;
}

export interface SentinelPlaces {
  /** Three, on loopback by default. The first is the primary at the start, and the last one is the last to take over. */
  readonly servers?: readonly ServerPlace[];
  /** Three, on loopback by default. */
  readonly sentinels?: readonly ServerPlace[];
}

/** A server that can be hurt. */
export interface SentinelServer {
  readonly url: string;
  readonly process: RedisProcess;
}

/** A primary with two replicas and three Sentinels, with the settings in `deploy/redis`. */
export interface TestRedisSentinel extends TestStore {
  /** The server that was the primary at the start. */
  readonly primaryUrl: string;
  /** The replica that takes over. */
  readonly replicaUrl: string;
  /** In the order of the places. */
  readonly servers: readonly SentinelServer[];
  readonly sentinels: readonly RedisProcess[];
  readonly sentinelUrls: readonly string[];
  /** What the Sentinels call the primary. */
  readonly name: string;
  killPrimary(): Promise<void>;
  /**
   * From here on the replicas learn nothing of what the primary is told: a failover loses it. The primary takes writes all
   * the same, as it does for `min-replicas-max-lag`, but without end, so that no test depends on being fast.
   */
  cutReplicasOff(): Promise<void>;
}

export async function startRedisSentinel(places: SentinelPlaces = {}): Promise<TestRedisSentinel> {
  const folder = await ServerFolder.create();
  try {
    const servers = await startServers(folder, await placesOr(places.servers, SERVERS));
    const [primary, replica] = servers;
    if (primary === undefined || replica === undefined) throw new Error('a primary and a replica are needed');
    const replicas = servers.slice(1);
    for (const { url } of replicas) {
      await waitFor('the replica to follow', async () =>
        askServer(url, async (redis) => (await redis.info('replication')).includes('master_link_status:up')),
      );
    }
    const sentinels = await placesOr(places.sentinels, SENTINELS);
    const processes = await startSentinels(folder, primary.place, replicas.length, sentinels);
    const login = (username: string | undefined, password: string): StoreLogin => ({
      address: {
        kind: 'sentinel',
        name: NAME,
        sentinels: sentinels.map(({ host, port }) => ({ host, port })),
        sentinelUsername: undefined,
        sentinelPassword: TEST_REDIS_PASSWORD,
        username,
        password,
        tls: false,
      },
      settings: {
        PLENARY_REDIS_SENTINELS: sentinels.map(({ host, port }) => `${host}:${port}`).join(','),
        PLENARY_REDIS_SENTINEL_NAME: NAME,
        PLENARY_REDIS_SENTINEL_PASSWORD: TEST_REDIS_PASSWORD,
        ...(username === undefined ? {} : { PLENARY_REDIS_USERNAME: username }),
        PLENARY_REDIS_PASSWORD: password,
      },
    });
    return {
      ...login(undefined, TEST_REDIS_PASSWORD),
      as: (kind) => login(userOf(kind).username, userOf(kind).password),
      primaryUrl: primary.url,
      replicaUrl: replica.url,
      servers,
      sentinels: processes,
      sentinelUrls: sentinels.map(({ host, port }) => guardedUrl(port, host)),
      name: NAME,
      killPrimary: () => primary.process.kill(),
      cutReplicasOff: async () => {
        await askServer(primary.url, (redis) => redis.config('SET', 'min-replicas-to-write', 0));
        // Nobody listens there; what the replicas have they keep.
        for (const { url } of replicas) await askServer(url, (redis) => redis.replicaof('127.0.0.1', 1));
      },
      stop: () => folder.end(),
    };
  } catch (error) {
    await folder.end();
    throw error;
  }
}

async function placesOr(
  places: readonly ServerPlace[] | undefined,
  count: number,
): Promise<readonly ServerPlace[]> {
  if (places !== undefined) return places;
  const onLoopback: ServerPlace[] = [];
  while (onLoopback.length < count) onLoopback.push({ host: '127.0.0.1', port: await freePort() });
  return onLoopback;
}

async function startServers(
  folder: ServerFolder,
  places: readonly ServerPlace[],
): Promise<readonly (SentinelServer & { readonly place: ServerPlace })[]> {
  const [primary] = places;
  const servers: (SentinelServer & { readonly place: ServerPlace })[] = [];
  for (const [index, place] of places.entries()) {
    const { host, port, through } = place;
    const following =
      primary === undefined || index === 0
        ? []
        : // The first one takes over; another is there so that the new primary has one.
          ['--replicaof', `${primary.host} ${primary.port}`, '--replica-priority', String(100 * index)];
    const process = await RedisProcess.start(
      folder,
      [...(await replicatedServer(folder, place)), ...following],
      through,
    );
    servers.push({ url: guardedUrl(port, host), process, place });
  }
  return servers;
}

/** Arguments of a server with a copy of the shipped file: at a failover Redis writes into it. */
async function replicatedServer(
  folder: ServerFolder,
  { host, port }: ServerPlace,
): Promise<readonly string[]> {
  const name = `${host}-${port}`;
  const conf = join(folder.path, `redis-${name}.conf`);
  await writeFile(conf, `${await readFile(REPLICATED_CONF, 'utf8')}\n${await usersConfiguration()}`);
  return [
    ...[conf, '--port', String(port), '--bind', host],
    // As the others reach it: who relays its connections is not it.
    ...['--replica-announce-ip', host],
    ...['--requirepass', TEST_REDIS_PASSWORD, '--masterauth', TEST_REDIS_PASSWORD],
    ...['--appenddirname', `append-only-${name}`, '--dbfilename', `dump-${name}.rdb`],
  ];
}

/** Starts Sentinels that know each other from their files: learning it by themselves takes them seconds. */
async function startSentinels(
  folder: ServerFolder,
  primary: ServerPlace,
  replicaCount: number,
  places: readonly ServerPlace[],
): Promise<readonly RedisProcess[]> {
  const sentinels = places.map((place) => ({ id: randomBytes(20).toString('hex'), ...place }));
  const shipped = await readFile(SENTINEL_CONF, 'utf8');
  const processes = await Promise.all(
    sentinels.map(async ({ id, host, port, through }) => {
      const lines = [
        `port ${port}`,
        `bind ${host}`,
        `sentinel announce-ip ${host}`,
        `sentinel myid ${id}`,
        `sentinel monitor ${NAME} ${primary.host} ${primary.port} 2`,
        `requirepass ${TEST_REDIS_PASSWORD}`,
        `sentinel auth-pass ${NAME} ${TEST_REDIS_PASSWORD}`,
        shipped,
        ...sentinels
          .filter((other) => other.id !== id)
          .map((other) => `sentinel known-sentinel ${NAME} ${other.host} ${other.port} ${other.id}`),
      ];
      const file = join(folder.path, `sentinel-${host}-${port}.conf`);
      await writeFile(file, `${lines.join('\n')}\n`);
      return RedisProcess.start(folder, [file, '--sentinel'], through);
    }),
  );
  for (const { host, port } of sentinels) {
    await waitFor(`the Sentinel on ${host}:${port} to be able to fail over`, async () =>
      askServer(guardedUrl(port, host), async (redis) => {
        const quorum = await redis.call('SENTINEL', 'CKQUORUM', NAME).then(String, () => '');
        const [, replicas] = /slaves=(\d+)/.exec(await redis.info('sentinel')) ?? [];
        return quorum.startsWith('OK 3') && replicas === String(replicaCount);
      }),
    );
  }
  return processes;
}
