/** The faults that a meeting survives, one row for each. */
import { open, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { askServer } from '@plenary/cluster/testing/redis-process';
import type { RunningMediaNode, RunningNode } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import { drain, undrain } from '../harness/drain.ts';
import { gatewayOf } from '../harness/gateway.ts';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { until } from '../harness/until.ts';
import { streamsAmong } from './fault.ts';
import type { Fault, Goal, Stream } from './fault.ts';
import { datacenterOf } from './fault-world.ts';
import type { FaultWorld } from './fault-world.ts';

const NONE: Goal = { p50: 0, p99: 0 };
const AFTER_A_NODE: Goal = { p50: 1_000, p99: 2_500 };
/** Too short to be noticed. */
const UNNOTICED: Goal = { p50: 100, p99: 100 };
const FROZEN_MS = 10_000;

async function nodeOfAnn(world: FaultWorld): Promise<RunningMediaNode> {
  return world.mediaNodeOf(world.person('Ann'));
}

function workersOf(node: RunningMediaNode): readonly number[] {
  if (node.pid === null) throw new Error(`${node.id} does not run`);
  const workers = childrenOf(node.pid);
  if (workers.length === 0) throw new Error(`${node.id} has no worker`);
  return workers;
}

/** The gateway through which Ann's tracks enter the other datacenter, where a person is on another node behind it. */
async function gatewayToAnn(world: FaultWorld): Promise<RunningMediaNode> {
  const home = await nodeOfAnn(world);
  const { url } = await world.store.primary();
  return gatewayOf(world.cluster, world.roomId, 'sbg', home.id, url);
}

/** Ann's streams to the people behind the gateway, without those to people on the gateway itself. */
async function behindTheGateway(world: FaultWorld): Promise<readonly Stream[]> {
  const gateway = await gatewayToAnn(world);
  const behind: Stream[] = [];
  for (const person of world.people.filter(({ datacenter }) => datacenter === 'sbg')) {
    const node = await world.mediaNodeOf(person);
    if (node !== gateway) behind.push({ viewer: person.name, publisher: 'Ann' });
  }
  if (behind.length === 0) throw new Error(`nobody is behind ${gateway.id}`);
  return behind;
}

async function freeze(node: RunningNode): Promise<() => Promise<void>> {
  await node.kill('SIGSTOP');
  return () => node.kill('SIGCONT');
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'edge killed',
    store: 'redis',
    isQuick: true,
    goals: { media: NONE, buttons: { p50: 500, p99: 1_500 } },
    worksDuringFault: 'everything',
    person: 'nothing in picture and sound; buttons and chat wait for the resume on another edge',
    operator: 'one edge less; `plenary_edge_resumes_total` on the others',
    strike: async (world) => {
      const edge = await world.edgeOf(world.person('Ann'));
      await edge.kill('SIGKILL');
      return () => edge.restart();
    },
  },
  {
    name: 'media node killed',
    store: 'redis',
    isQuick: true,
    goals: { media: AFTER_A_NODE },
    worksDuringFault: 'everything',
    person: 'those on it freeze and come back on another node; the others miss only them',
    operator: 'the node is missing in the registry; `plenary_edge_media_lost_total{reason="node_lost"}`',
    strike: async (world) => {
      const node = await nodeOfAnn(world);
      await node.kill('SIGKILL');
      return () => node.restart();
    },
  },
  {
    name: 'worker crashed',
    store: 'redis',
    isQuick: false,
    goals: { media: AFTER_A_NODE },
    worksDuringFault: 'everything',
    person: 'as above',
    operator: '`plenary_media_worker_deaths_total`, a `warn` line; a new worker takes its port',
    strike: async (world) => {
      for (const worker of workersOf(await nodeOfAnn(world))) process.kill(worker, 'SIGKILL');
      return () => Promise.resolve();
    },
  },
  {
    name: 'gateway killed',
    store: 'redis',
    isQuick: false,
    goals: { media: { p50: 500, p99: 1_500 } },
    worksDuringFault: 'everything',
    person:
      'those behind it miss the other datacenter for a moment, of which the figures are; those on it are as with a node killed',
    operator: '`another node is the gateway now`, `pipe opened` in the logs',
    measuredStreams: behindTheGateway,
    strike: async (world) => {
      const gateway = await gatewayToAnn(world);
      await gateway.kill('SIGKILL');
      return () => gateway.restart();
    },
  },
  {
    name: 'gateway stopped (SIGTERM)',
    store: 'redis',
    isQuick: false,
    goals: {},
    worksDuringFault: 'everything',
    person: 'nothing for those behind it, of whom the figures are; those on it are as with a node killed',
    operator: '`stopping` in its log; `plenary_edge_media_lost_total` for those on it',
    measuredStreams: behindTheGateway,
    strike: async (world) => {
      const gateway = await gatewayToAnn(world);
      await gateway.kill('SIGTERM');
      return () => gateway.restart();
    },
  },
  {
    name: 'media node drained',
    store: 'redis',
    isQuick: false,
    goals: { media: UNNOTICED },
    worksDuringFault: 'everything',
    person: 'nothing',
    operator: '`/ready` 503 `draining`; `plenaryctl status`; `plenary_media_peers` falls to 0',
    strike: async (world) => {
      const node = await nodeOfAnn(world);
      await drainAll(world, node);
      return async () => {
        await undrain(node, world.cluster.adminToken);
      };
    },
  },
  {
    name: 'edge drained',
    store: 'redis',
    isQuick: false,
    goals: { media: NONE, buttons: UNNOTICED },
    worksDuringFault: 'everything',
    person: 'nothing',
    operator:
      '`/ready` 503 `draining`; `plenaryctl status`; `plenary_edge_sockets` falls to 0, `plenary_edge_resumes_total` on the others',
    strike: async (world) => {
      const edge = await world.edgeOf(world.person('Ann'));
      await drainAll(world, edge);
      return async () => {
        await undrain(edge, world.cluster.adminToken);
      };
    },
  },
  {
    name: 'every edge and media node drained and restarted, one after the other',
    store: 'redis',
    isQuick: false,
    goals: { media: UNNOTICED, buttons: UNNOTICED },
    worksDuringFault: 'everything',
    person: 'nothing',
    operator: 'as above, of one after the other',
    strike: async (world) => {
      for (const node of [...world.cluster.edges, ...world.cluster.mediaNodes]) {
        await drainAll(world, node);
        await node.restart();
      }
      return () => Promise.resolve();
    },
  },
  {
    name: 'node cut off (its cables down)',
    store: 'redis',
    isQuick: true,
    goals: { media: { p50: 3_000, p99: 5_000 } },
    worksDuringFault: 'everything',
    person: 'those on it freeze until they are on another node',
    operator: 'the node is missing in the registry; it says `/ready` 503 `lease_lapsed` itself',
    strike: async (world) => {
      const node = await nodeInAnotherHostThanTheStore(world);
      const hosts = [world.hostOf(node)];
      await world.cut(hosts);
      return async () => {
        await world.mend(hosts);
        await node.waitUntilReady();
      };
    },
  },
  {
    name: 'node cut off from the cluster, and not from its clients',
    store: 'redis',
    isQuick: false,
    goals: { media: { p50: 3_000, p99: 5_000 } },
    worksDuringFault: 'everything',
    person: 'as above',
    operator: 'as above',
    strike: async (world) => {
      const node = await nodeInAnotherHostThanTheStore(world);
      const host = world.hostOf(node);
      await world.datacenters.silence(host, 'others');
      return async () => {
        await world.datacenters.endSilence(host, 'others');
        await node.waitUntilReady();
      };
    },
  },
  {
    name: 'node that reaches neither the store nor other nodes, and answers its edges',
    store: 'redis',
    isQuick: false,
    goals: {},
    worksDuringFault: 'everything',
    person: 'those on it are not seen by others for two leases, then they are moved to another node',
    operator: 'the node is missing in the registry; it says `/ready` 503 `lease_lapsed` itself',
    strike: async (world) => {
      const node = await nodeInAnotherHostThanTheStore(world);
      const host = world.hostOf(node);
      await world.datacenters.silence(host, 'outwards');
      return async () => {
        await world.datacenters.endSilence(host, 'outwards');
        await node.waitUntilReady();
      };
    },
  },
  {
    name: 'node cut off from its clients, and not from the cluster',
    store: 'redis',
    isQuick: false,
    goals: {},
    worksDuringFault: 'everything',
    person: 'those on it freeze until they have looked for another path to it, and are on another node',
    operator: 'nothing; `plenary_edge_media_lost_total` stays still',
    strike: async (world) => {
      const host = world.hostOf(await nodeInAnotherHostThanTheStore(world));
      await world.datacenters.silence(host, 'host');
      return () => world.datacenters.endSilence(host, 'host');
    },
  },
  {
    name: 'media node comes back where no client reaches it',
    store: 'redis',
    isQuick: false,
    goals: {},
    worksDuringFault: 'everything',
    person:
      'those on it are as with a node killed; whoever is sent to it afterwards sees and hears nothing for four seconds, until they are moved',
    operator:
      '`plenary_media_unreached_peers_total`; `/ready` 503 `media_unreached` and an `error` line from the second person on',
    strike: async (world) => {
      const host = 'gra-b';
      const node = world.cluster.mediaNodes.find((one) => world.hostOf(one) === host);
      if (node === undefined) throw new Error(`${host} has no media node`);
      // No client has reached the node since its start. Ann's node ends, and she is placed on the other node of her datacenter, which is this one.
      await node.restart();
      await world.datacenters.silence(host, 'host');
      const other = await until(
        'Ann to be on another node',
        () => nodeOfAnn(world),
        (one) => one !== node,
      );
      await other.kill('SIGKILL');
      return async () => {
        await other.restart();
        await world.datacenters.endSilence(host, 'host');
        await node.waitUntilReady();
      };
    },
  },
  {
    name: 'Redis killed, away for 5 s',
    store: 'redis',
    isQuick: true,
    goals: { media: NONE },
    lastsMs: 5_000,
    worksDuringFault: 'media',
    person: 'pictures, sound and mute go on; chat is marked as not sent, joins are refused as retryable',
    operator: '`plenary_store_available` 0, `/ready` 503, `/health` 200',
    strike: async (world) => {
      const { process } = await world.store.primary();
      await process.kill();
      return () => process.restart();
    },
  },
  {
    name: 'Redis frozen for 10 s (SIGSTOP)',
    store: 'redis',
    isQuick: false,
    goals: { media: NONE },
    lastsMs: FROZEN_MS,
    worksDuringFault: 'media',
    person: 'as above',
    operator: 'as above',
    strike: async (world) => {
      const { process } = await world.store.primary();
      process.freeze(true);
      return () => Promise.resolve(process.freeze(false));
    },
  },
  {
    name: 'Redis loses all it has (FLUSHALL)',
    store: 'redis',
    isQuick: false,
    goals: { media: NONE },
    worksDuringFault: 'everything',
    person: 'nothing; who joins later does not see what was written before',
    operator: '`plenary_edge_repairs_total`, `plenary_media_repairs_total`',
    strike: async (world) => {
      const { url } = await world.store.primary();
      await askServer(url, (redis) => redis.flushall());
      return () => Promise.resolve();
    },
  },
  {
    name: 'Redis killed, and back without its last writes',
    store: 'redis',
    isQuick: false,
    goals: { media: NONE },
    worksDuringFault: 'everything',
    person: 'pictures, sound and mute go on; the last messages may be missing for who joins later',
    operator: '`plenary_edge_repairs_total`, `plenary_media_repairs_total`',
    strike: async (world) => {
      const { process, url } = await world.store.primary();
      const folder = join(await dataFolderOf(url), 'appendonlydir');
      await process.kill();
      await truncateToHalf(folder, world.roomId);
      await process.restart();
      return () => Promise.resolve();
    },
  },
  {
    name: 'Redis’ disk full',
    store: 'small-disk',
    isQuick: false,
    goals: { media: NONE },
    lastsMs: 5_000,
    worksDuringFault: 'media',
    person: 'as above',
    operator: '`MISCONF` in the logs; Redis goes on by itself when there is room again',
    strike: async (world) => {
      const { process, url } = await world.store.primary();
      const folder = await dataFolderOf(url);
      // Redis' own mount namespace has the small disk.
      const filler = join(`/proc/${process.pid}/root`, folder, 'filler');
      await fillDisk(filler);
      // Leases are renewed all the time, so the next renewal finds the disk full.
      await until(
        'Redis cannot write to its disk',
        () => askServer(url, (redis) => redis.info('persistence')),
        (info) => info.includes('aof_last_write_status:err'),
      );
      return () => rm(filler);
    },
  },
  {
    name: 'Redis’ primary killed, three Sentinels',
    store: 'sentinels',
    isQuick: false,
    goals: { media: NONE },
    worksDuringFault: 'everything',
    person: 'as with Redis away, until another primary is elected',
    operator: 'as with Redis away, for some 6 s with the shipped settings',
    strike: async (world) => {
      const { process } = await world.store.primary();
      await process.kill();
      return () => process.restart();
    },
  },
  {
    name: 'Redis’ primary frozen for 10 s, three Sentinels',
    store: 'sentinels',
    isQuick: false,
    goals: { media: NONE },
    lastsMs: FROZEN_MS,
    worksDuringFault: 'media',
    person: 'as above',
    operator: 'as above; the old primary is made a replica when it wakes',
    strike: async (world) => {
      const { process } = await world.store.primary();
      process.freeze(true);
      return () => Promise.resolve(process.freeze(false));
    },
  },
  {
    name: 'one of three Sentinels frozen for 10 s (SIGSTOP)',
    store: 'sentinels',
    isQuick: false,
    goals: { media: NONE },
    lastsMs: FROZEN_MS,
    worksDuringFault: 'everything',
    person: 'nothing',
    operator: '`+sdown sentinel` in the logs of the other two; for 30 s more it only looks on (`+tilt`)',
    strike: (world) => {
      const [sentinel] = world.store.sentinels;
      if (sentinel === undefined) throw new Error('the store has no Sentinel');
      sentinel.freeze(true);
      return Promise.resolve(() => Promise.resolve(sentinel.freeze(false)));
    },
  },
  {
    name: 'datacenter lost, with Redis’ primary',
    store: 'sentinels',
    isQuick: false,
    goals: { media: { p50: 3_000, p99: 6_000 } },
    worksDuringFault: 'everything',
    person: 'its people freeze until another primary is elected and they are in the other datacenter',
    operator: 'its edges and nodes are missing in the registry; as with Redis’ primary killed',
    strike: async (world) => loseDatacenter(world, await world.datacenterOfPrimary()),
  },
  {
    name: 'datacenter lost, Redis’ primary elsewhere',
    store: 'sentinels',
    isQuick: false,
    goals: { media: { p50: 3_000, p99: 6_000 } },
    worksDuringFault: 'everything',
    person: 'its people freeze until they are in the other datacenter; the others miss only them',
    operator: 'its edges and nodes are missing in the registry',
    strike: async (world) =>
      loseDatacenter(world, (await world.datacenterOfPrimary()) === 'gra' ? 'sbg' : 'gra'),
  },
  {
    name: 'datacenter lost, among those of the other one',
    store: 'sentinels',
    isQuick: false,
    goals: { media: NONE },
    worksDuringFault: 'everything',
    person: 'nothing, of one another',
    operator: 'as above',
    measuredStreams: ({ people }) =>
      Promise.resolve(streamsAmong(people.filter(({ datacenter }) => datacenter === 'sbg'))),
    strike: (world) => loseDatacenter(world, 'gra'),
  },
  {
    name: 'edge frozen for 10 s (SIGSTOP)',
    store: 'redis',
    isQuick: false,
    goals: { media: NONE },
    lastsMs: FROZEN_MS,
    worksDuringFault: 'media',
    person:
      'nothing in picture and sound; buttons and chat wait for three seconds, and for the resume on another edge',
    operator: 'the edge does not answer `/health`; `plenary_edge_resumes_total` on the others',
    strike: async (world) => freeze(await world.edgeOf(world.person('Ann'))),
  },
  {
    name: 'media node frozen for 10 s (SIGSTOP)',
    store: 'redis',
    isQuick: false,
    goals: {},
    lastsMs: FROZEN_MS,
    worksDuringFault: 'everything',
    person: 'as with a node killed, although its workers go on: nobody can ask it for anything',
    operator: 'the node does not answer `/health`; `plenary_edge_media_lost_total{reason="node_lost"}`',
    strike: async (world) => freeze(await nodeOfAnn(world)),
  },
  {
    name: 'worker frozen for 10 s (SIGSTOP)',
    store: 'redis',
    isQuick: false,
    goals: {},
    lastsMs: FROZEN_MS,
    worksDuringFault: 'everything',
    person: 'those on it freeze for two seconds more than with a worker crashed',
    operator:
      '`plenary_media_worker_deaths_total{reason="hung"}`, two `warn` lines; a new worker takes its port',
    strike: async (world) => {
      const node = await nodeOfAnn(world);
      const workers = workersOf(node);
      for (const worker of workers) process.kill(worker, 'SIGSTOP');
      return () => {
        // Only workers that still exist: a process id that was freed may belong to another process.
        for (const worker of workersOf(node)) {
          if (workers.includes(worker)) process.kill(worker, 'SIGCONT');
        }
        return Promise.resolve();
      };
    },
  },
  {
    name: 'clock of one host jumps an hour ahead',
    store: 'redis',
    hasOwnClock: true,
    isQuick: false,
    goals: { media: NONE },
    lastsMs: 5_000,
    worksDuringFault: 'everything',
    person:
      'nothing; who comes to an edge of that host may be refused, and what needs a new link from or to that host has to wait',
    operator: '`token_invalid` where a new link is made; the time of that host’s log lines',
    strike: clockJump(3_600),
  },
  {
    name: 'clock of one host jumps an hour back',
    store: 'redis',
    hasOwnClock: true,
    isQuick: false,
    goals: { media: NONE },
    lastsMs: 5_000,
    worksDuringFault: 'everything',
    person: 'nothing; who comes to an edge of that host may be refused, since the token is not valid yet',
    operator: 'the time of that host’s log lines',
    strike: clockJump(-3_600),
  },
  {
    name: 'clients’ network changes (another address)',
    store: 'redis',
    isQuick: false,
    goals: {},
    lastsMs: 5_000,
    worksDuringFault: 'everything',
    person: 'a freeze until the browser has found the new way; buttons and chat wait for the resume',
    operator: '`plenary_edge_resumes_total`; `plenary_edge_media_lost_total` stays still',
    strike: async (world) => {
      await world.datacenters.moveHost();
      // Returning is a change of network, too.
      return () => world.datacenters.moveHostBack();
    },
  },
  {
    name: '5 % loss between datacenters',
    store: 'redis',
    isQuick: false,
    goals: {},
    lastsMs: 5_000,
    worksDuringFault: 'everything',
    person: 'next to nothing: what is lost is sent again between the datacenters',
    operator: '–',
    strike: lossOf(0.05),
  },
  {
    name: '20 % loss between datacenters',
    store: 'redis',
    isQuick: false,
    goals: {},
    lastsMs: 5_000,
    worksDuringFault: 'everything',
    person: 'pictures of the other datacenter stutter',
    operator: '–',
    strike: lossOf(0.2),
  },
  {
    name: 'all media lost one way between datacenters, for 5 s',
    store: 'redis',
    isQuick: false,
    goals: {},
    lastsMs: 5_000,
    worksDuringFault: 'nothing',
    person: 'the other side freezes for as long, in one direction',
    operator: '–',
    strike: async (world) => {
      await world.setLoss(1, { from: 'gra', to: 'sbg' });
      return () => world.setLoss();
    },
  },
];

/** @throws Error if the drain had to cut anybody off */
async function drainAll({ cluster }: FaultWorld, node: RunningNode): Promise<void> {
  const { left, cut } = await drain(node, cluster.adminToken);
  if (left + cut > 0)
    throw new Error(`${node.id} was drained, but ${left} people were left and ${cut} were cut off.`);
}

async function loseDatacenter(world: FaultWorld, datacenter: string): Promise<() => Promise<void>> {
  const hosts = world.hostsOf(datacenter);
  await world.cut(hosts);
  return async () => {
    await world.mend(hosts);
    await everyNodeIsReady(world);
  };
}

function clockJump(offsetSeconds: number): Fault['strike'] {
  return async ({ clock }) => {
    await clock.jump(offsetSeconds);
    return () => clock.jump(0);
  };
}

function lossOf(lossRate: number): Fault['strike'] {
  return async (world) => {
    await world.setLoss(lossRate);
    return () => world.setLoss();
  };
}

/** A node whose host has neither the store nor an edge, so that only the node is cut off. */
async function nodeInAnotherHostThanTheStore(world: FaultWorld): Promise<RunningMediaNode> {
  for (const person of world.people) {
    const node = await world.mediaNodeOf(person);
    const host = world.hostOf(node);
    if (host !== datacenterOf(host)) return node;
  }
  throw new Error('nobody is on a host of its own');
}

async function everyNodeIsReady({ cluster }: FaultWorld): Promise<void> {
  await Promise.all([...cluster.edges, ...cluster.mediaNodes].map((node) => node.waitUntilReady()));
}

async function dataFolderOf(redisUrl: string): Promise<string> {
  const answer = await askServer(redisUrl, (redis) => redis.config('GET', 'dir'));
  return z.tuple([z.literal('dir'), z.string()]).parse(answer)[1];
}

/** Truncates the file to half of what was written since the room began, so that no earlier room returns with it. */
async function truncateToHalf(folder: string, roomId: string): Promise<void> {
  const name = (await readdir(folder)).find((file) => file.endsWith('.incr.aof'));
  if (name === undefined) throw new Error(`${folder} has no file that Redis appends to`);
  const path = join(folder, name);
  const written = await readFile(path);
  const beganAt = written.indexOf(roomId);
  if (beganAt === -1) throw new Error(`${path} does not know ${roomId}`);
  await truncate(path, Math.floor((beganAt + written.length) / 2));
}

/** Writes until the disk has no byte left. */
async function fillDisk(path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const size of [65_536, 1]) await writeUntilFull(file, Buffer.alloc(size));
  } finally {
    await file.close();
  }
}

async function writeUntilFull(file: Awaited<ReturnType<typeof open>>, piece: Buffer): Promise<void> {
  for (;;) {
    try {
      await file.write(piece);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return;
      throw error;
    }
  }
}
