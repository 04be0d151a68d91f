import { SLICE_REST_MS } from '../limits/store-limits.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULT_NAMESPACE, NAMESPACE } from '../namespace.ts';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { mintIncarnation } from '../ids.ts';
import { silentLogger } from '../process/logging.ts';
import { RedisRegistry } from '../redis/redis-registry.ts';
import { scriptRunner } from '../redis/run-script.ts';
import { MemoryRegistry } from '../registry/memory-registry.ts';
import { patient } from '../testing/patient.ts';
import { waitFor } from '../testing/wait-for.ts';
import { describeRegistry } from '../registry/registry.contract.ts';
import { PORT_SLICE } from '../registry/registry.ts';
import type { MediaNodeRecord, PortSliceClaim, PortSliceResult, Registry } from '../registry/registry.ts';
import { startConsulAgent } from '../testing/consul-agent.ts';
import type { TestConsul } from '../testing/consul-agent.ts';
import { startRedisServer } from '../testing/redis-server.ts';
import type { TestRedis } from '../testing/redis-server.ts';
import { KEYS } from '../testing/store-keys.ts';
import { datacenter, edgeRecord, mediaNode, mediaNodeRecord } from '../testing/samples.ts';
import { ConsulClient } from './consul-client.ts';
import { ConsulRegistry } from './consul-registry.ts';
import { ConsulNames } from './names.ts';
import { consulAddressSetting } from './settings.ts';
import { SliceBooks } from './slice-books.ts';

/** Longer than any test runs. */
const LONG_LEASE_MS = 600_000;
const SHORT_LEASE_MS = 200;

let agent: TestConsul;
let redis: TestRedis;
beforeAll(async () => {
  [agent, redis] = await Promise.all([startConsulAgent(), startRedisServer()]);
});
afterAll(() => Promise.all([agent.stop(), redis.stop()]));

const open = (
  consul: TestConsul,
  loads: Registry = new MemoryRegistry(),
  clock: Clock = systemClock,
  namespace = DEFAULT_NAMESPACE,
): ConsulRegistry =>
  patient(
    new ConsulRegistry({
      namespace,
      consul: { address: consulAddressSetting.parse(consul.address), token: undefined },
      loads,
      logger: silentLogger(),
      clock,
    }),
  );

/** A clock whose wall time can be set forward: what rests goes by it. */
class WallClock implements Clock {
  #aheadMs = 0;

  wallMs(): number {
    return systemClock.wallMs() + this.#aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  advance(byMs: number): void {
    this.#aheadMs += byMs;
  }
}

/** A claim of a slice of 100 ports from a range that has room for two. */
const claimFromRange = (name: string, changes: Partial<PortSliceClaim> = {}): PortSliceClaim => ({
  mediaNodeId: mediaNode(name),
  incarnation: mintIncarnation(),
  announcedAddress: '192.0.2.1',
  wanted: { range: { firstPort: 40_000, lastPort: 40_199 }, size: 100, except: [] },
  ...changes,
});

/** Looks at the slices under some addresses, and wants none of them. */
function lookAtSlices(registry: Registry, announcedAddress = '192.0.2.1'): Promise<PortSliceResult> {
  const wanted = { range: { firstPort: 1_024, lastPort: 65_535 }, size: 65_535, except: [] };
  return registry.claimPortSlice(claimFromRange('looker', { announcedAddress, wanted }), LONG_LEASE_MS);
}

const AGENT_SERVICES = z.record(z.string(), z.object({ Meta: z.record(z.string(), z.string()) }));

async function servicesOf(consul: TestConsul): Promise<z.infer<typeof AGENT_SERVICES>> {
  return AGENT_SERVICES.parse(await consul.ask('GET', '/v1/agent/services'));
}

const SESSIONS = z.array(z.object({ NodeChecks: z.array(z.string()) }));

/** What the living sessions hang on. */
async function sessionChecksOf(consul: TestConsul): Promise<readonly string[]> {
  const sessions = SESSIONS.parse(await consul.ask('GET', '/v1/session/list'));
  return sessions.flatMap(({ NodeChecks }) => NodeChecks);
}

const BOOK = z.array(
  z.looseObject({ mediaNodeId: z.string(), portSlice: PORT_SLICE, freedAtMs: z.int().optional() }),
);

/** The slices that are held or rest under an address. */
async function bookOf(consul: TestConsul, address: string): Promise<z.infer<typeof BOOK>> {
  return BOOK.parse(await consul.ask('GET', `/v1/kv/plenary/slices/${encodeURIComponent(address)}?raw=true`));
}

/** Leaves the agent as a new one is. */
async function clean(consul: TestConsul): Promise<void> {
  for (const id of Object.keys(await servicesOf(consul))) {
    await consul.ask('PUT', `/v1/agent/service/deregister/${encodeURIComponent(id)}`);
  }
  await consul.ask('DELETE', '/v1/kv/plenary/?recurse=true');
}

/**
 * Makes the agent end a held lease by itself: its last renewal is for a short time only. On a machine so slow that it is
 * over before Consul has answered, the answer is that; the lease has lapsed then too.
 */
async function letLapse(registry: Registry, record: MediaNodeRecord): Promise<void> {
  try {
    await registry.announceMediaNode(record, SHORT_LEASE_MS);
  } catch (fault) {
    expect(fault).toMatchObject({ code: 'store_unavailable' });
  }
}

const idsOf = async (registry: Registry): Promise<string[]> => [
  ...(await registry.liveMediaNodes()).map((node) => node.mediaNodeId),
  ...(await registry.liveEdges()).map((edge) => edge.edgeId),
];

describeRegistry('Consul', async () => {
  const connection = new Redis(redis.url, { maxRetriesPerRequest: 0 });
  await connection.flushall();
  const clock = new WallClock();
  const registry = open(
    agent,
    new RedisRegistry(scriptRunner(connection), KEYS, (detail) => expect.unreachable(detail())),
    clock,
  );
  // The agent's TTLs run by its own clock, which cannot be set. What their end does can be asked for, and is for those
  // that would have ended: no test then depends on how fast this machine is. A slice rests from when somebody has looked.
  const passTime = async (byMs: number): Promise<void> => {
    const lapsing = Object.entries(await servicesOf(agent))
      .map(([serviceOfAgent, { Meta }]) => ({
        serviceOfAgent,
        leaseMs: Number(Meta['lease-ms']),
        id: Meta['id'],
      }))
      .filter(({ leaseMs }) => leaseMs <= byMs)
      .sort((left, right) => left.leaseMs - right.leaseMs);
    let passedMs = 0;
    for (const { serviceOfAgent, leaseMs, id = '' } of lapsing) {
      clock.advance(leaseMs - passedMs);
      passedMs = leaseMs;
      await agent.ask('PUT', `/v1/agent/check/fail/${encodeURIComponent(serviceOfAgent)}`);
      await waitFor(`${id} to lapse`, async () => !(await idsOf(registry)).includes(id));
      await waitFor(
        `the session of ${id} to end`,
        async () => !(await sessionChecksOf(agent)).includes(serviceOfAgent),
      );
      await lookAtSlices(registry);
    }
    clock.advance(byMs - passedMs);
  };
  const close = async (): Promise<void> => {
    registry.close();
    connection.disconnect();
    await clean(agent);
  };
  return { registry, passTime, close };
});

describe('registry (Consul)', () => {
  const opened: ConsulRegistry[] = [];
  const enter = (loads?: Registry, consul = agent): ConsulRegistry => {
    const registry = open(consul, loads);
    opened.push(registry);
    return registry;
  };
  let registry: ConsulRegistry;
  beforeEach(() => {
    registry = enter();
  });
  afterEach(async () => {
    for (const registryOfTest of opened.splice(0)) registryOfTest.close();
    await clean(agent);
  });

  it('[CO1] [CO8] a lease lapses by itself at the agent when nobody renews it, and takes its claims along', async () => {
    const record = mediaNodeRecord('node-a');
    await registry.announceMediaNode(record, LONG_LEASE_MS);
    await registry.announceMediaNode(
      mediaNodeRecord('node-b', { portSlice: { firstPort: 21_000, lastPort: 21_099 } }),
      LONG_LEASE_MS,
    );
    expect(await idsOf(registry)).toEqual(['node-a', 'node-b']);
    await letLapse(registry, record);
    await waitFor('node-a to lapse', async () => (await idsOf(registry)).join() === 'node-b');
    const successor = mediaNodeRecord('node-a');
    expect(await enter().announceMediaNode(successor, LONG_LEASE_MS)).toEqual({ refused: null });
    await waitFor('node-a to be seen by others', async () => (await idsOf(registry)).includes('node-a'));
  });

  it('[NS1] clusters of two namespaces have ids and ports of their own on one agent', async () => {
    const registry = open(agent);
    const other = open(agent, new MemoryRegistry(), systemClock, NAMESPACE.parse('other'));
    const [ours, theirs] = [mediaNodeRecord('node-a'), mediaNodeRecord('node-a')];
    expect(await registry.announceMediaNode(ours, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await other.announceMediaNode(theirs, LONG_LEASE_MS)).toEqual({ refused: null });
    for (const [seen, own] of [
      [registry, ours],
      [other, theirs],
    ] as const) {
      const incarnations = (await seen.liveMediaNodes()).map(({ incarnation }) => incarnation);
      expect(incarnations).toEqual([own.incarnation]);
      await seen.withdrawMediaNode(own.mediaNodeId, own.incarnation);
      seen.close();
    }
  });

  it('[CO9] who lets its lease lapse and finds its ports taken is refused, and not listed beside the new owner', async () => {
    const [late, heir] = [mediaNodeRecord('node-a'), mediaNodeRecord('node-b')];
    await registry.announceMediaNode(late, LONG_LEASE_MS);
    await letLapse(registry, late);
    await waitFor('the lease to lapse', async () => (await idsOf(registry)).length === 0);
    expect(await enter().announceMediaNode(heir, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await registry.announceMediaNode(late, LONG_LEASE_MS)).toMatchObject({
      refused: 'port_slice_overlap',
      by: 'node-b',
    });
    expect(await idsOf(registry)).toEqual(['node-b']);
  });

  it('[CO2] of many that claim one id, or overlapping ports of one address, at once exactly one wins', async () => {
    const rivals = Array.from({ length: 8 }, () => enter());
    const byId = await Promise.all(
      rivals.map(async (rival) => rival.announceEdge(edgeRecord('edge-a'), LONG_LEASE_MS)),
    );
    expect(byId.filter(({ refused }) => refused === null)).toHaveLength(1);
    expect(byId.filter(({ refused }) => refused === 'id_taken')).toHaveLength(7);
    const byPorts = await Promise.all(
      rivals.map(async (rival, index) => {
        const portSlice = { firstPort: 20_000 + index, lastPort: 20_010 + index };
        return rival.announceMediaNode(mediaNodeRecord(`node-${index}`, { portSlice }), LONG_LEASE_MS);
      }),
    );
    const [owner, ...others] = await registry.liveMediaNodes();
    expect(others).toEqual([]);
    for (const result of byPorts.filter(({ refused }) => refused !== null)) {
      expect(result).toMatchObject({ refused: 'port_slice_overlap', by: owner?.mediaNodeId });
    }
    expect(byPorts.filter(({ refused }) => refused === null)).toHaveLength(1);
  });

  it('[CO2] who reads the slices of an address before another one enters its own is refused all the same', async () => {
    const client = new ConsulClient({ address: consulAddressSetting.parse(agent.address), token: undefined });
    const sessionOf = async (id: string): Promise<string> => {
      const service = {
        id,
        name: 'plenary-media-node',
        address: '',
        port: 1,
        meta: {},
        ttlMs: LONG_LEASE_MS,
      };
      await client.registerService(service);
      let session = '';
      await waitFor('the servers to know the check', async () =>
        client.createSession(id).then(
          (created) => {
            session = created;
            return true;
          },
          () => false,
        ),
      );
      return session;
    };
    const [early, late] = [await sessionOf('early'), await sessionOf('late')];
    const wanted = { firstPort: 20_000, lastPort: 20_099 };
    const [first, second] = [claimFromRange('node-a', { wanted }), claimFromRange('node-b', { wanted })];
    const claimant = { previous: undefined, hasId: false, elsewhere: [] };
    const settings = {
      names: new ConsulNames(DEFAULT_NAMESPACE),
      clock: systemClock,
      onMalformed: expect.unreachable,
    };
    const books = new SliceBooks({ client, ...settings });
    let isOvertaken = false;
    const overtaken = new SliceBooks({
      client: {
        readKey: async (key, dc) => client.readKey(key, dc),
        liveSessions: async (dc) => client.liveSessions(dc),
        changeKeys: async (changes) => {
          if (!isOvertaken) {
            isOvertaken = true;
            expect(await books.claim(first, { session: early, ...claimant })).toMatchObject({
              refused: null,
            });
          }
          return client.changeKeys(changes);
        },
      },
      ...settings,
    });
    expect(await overtaken.claim(second, { session: late, ...claimant })).toEqual({
      refused: 'port_slice_overlap',
      by: first.mediaNodeId,
      portSlice: wanted,
    });
    client.close();
  });

  it('[CO10] nothing is left of who is refused, and of who withdraws', async () => {
    const record = mediaNodeRecord('node-a');
    await registry.announceMediaNode(record, LONG_LEASE_MS);
    const rival = enter();
    await rival.announceMediaNode(mediaNodeRecord('node-a'), LONG_LEASE_MS);
    await rival.announceMediaNode(mediaNodeRecord('node-b'), LONG_LEASE_MS);
    expect(Object.keys(await servicesOf(agent))).toHaveLength(1);
    expect(await agent.ask('GET', '/v1/session/list')).toHaveLength(1);
    await registry.withdrawMediaNode(record.mediaNodeId, record.incarnation);
    expect(Object.keys(await servicesOf(agent))).toEqual([]);
    expect(await agent.ask('GET', '/v1/session/list')).toEqual([]);
    expect(await agent.ask('GET', '/v1/kv/plenary/?keys=true')).toEqual(['plenary/slices/127.0.0.1']);
    const [resting, ...others] = await bookOf(agent, '127.0.0.1');
    expect(resting?.mediaNodeId).toBe('node-a');
    expect(resting?.freedAtMs).toBeGreaterThan(0);
    expect(others).toEqual([]);
  });

  it('[CO11] a claim is a candidate that nobody lists or reports, and its announcement keeps slice and session', async () => {
    const logger = silentLogger();
    const reported = vi.spyOn(logger, 'error');
    const consul = { address: consulAddressSetting.parse(agent.address), token: undefined };
    const node = new ConsulRegistry({
      namespace: DEFAULT_NAMESPACE,
      consul,
      loads: new MemoryRegistry(),
      logger,
    });
    opened.push(node);
    const claim = claimFromRange('node-a', { announcedIpv6: '2001:db8::1' });
    expect(await node.claimPortSlice(claim, LONG_LEASE_MS)).toMatchObject({ refused: null });
    const sessions = await agent.ask('GET', '/v1/session/list');
    expect(sessions).toHaveLength(1);
    expect(await node.claimPortSlice(claim, LONG_LEASE_MS)).toMatchObject({ refused: null });
    expect(await idsOf(node)).toEqual([]);
    expect(reported).not.toHaveBeenCalled();
    const record = mediaNodeRecord('node-a', {
      incarnation: claim.incarnation,
      announcedAddress: claim.announcedAddress,
      announcedIpv6: '2001:db8::1',
      portSlice: { firstPort: 40_000, lastPort: 40_099 },
    });
    expect(await node.announceMediaNode(record, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await node.liveMediaNodes()).toEqual([record]);
    expect(await agent.ask('GET', '/v1/session/list')).toEqual(sessions);
    expect(Object.keys(await servicesOf(agent))).toHaveLength(1);
    for (const address of ['192.0.2.1', '2001:db8::1']) {
      expect(await bookOf(agent, address)).toMatchObject([{ mediaNodeId: 'node-a' }]);
    }
  });

  it('[CO11] [CO10] a candidate that is not announced lapses by itself, and is given back when it withdraws', async () => {
    const [silent, honest] = [claimFromRange('node-a'), claimFromRange('node-b')];
    await registry.claimPortSlice(honest, LONG_LEASE_MS);
    await registry.claimPortSlice(silent, SHORT_LEASE_MS).catch((fault: unknown) => {
      // As in letLapse: on a slow machine it is over before it was claimed.
      expect(fault).toMatchObject({ code: 'store_unavailable' });
    });
    await waitFor(
      'the session of the silent to end',
      async () => (await sessionChecksOf(agent)).length === 1,
    );
    await registry.withdrawMediaNode(honest.mediaNodeId, honest.incarnation);
    expect(await sessionChecksOf(agent)).toEqual([]);
    const looked = await lookAtSlices(registry);
    if (looked.refused !== 'no_free_slice') throw new Error('unexpected');
    expect(looked.holders.map(({ mediaNodeId }) => mediaNodeId)).toEqual(['node-b', 'node-a']);
    expect(looked.holders.every(({ restsForMs }) => restsForMs !== null)).toBe(true);
  });

  it('[CO12] a clock that goes ahead makes no slice rest for longer', async () => {
    const clock = new WallClock();
    clock.advance(3_600_000);
    const ahead = open(agent, undefined, clock);
    opened.push(ahead);
    const claim = claimFromRange('node-a');
    await ahead.claimPortSlice(claim, LONG_LEASE_MS);
    await ahead.withdrawMediaNode(claim.mediaNodeId, claim.incarnation);
    const looked = await lookAtSlices(registry);
    if (looked.refused !== 'no_free_slice') throw new Error('unexpected');
    expect(looked.holders.map(({ mediaNodeId }) => mediaNodeId)).toEqual(['node-a']);
    expect(looked.holders[0]?.restsForMs).toBeLessThanOrEqual(SLICE_REST_MS);
  });

  it('[CO13] a namesake that claims the ports of a living node, and goes, takes nothing from it', async () => {
    const record = mediaNodeRecord('node-a');
    await registry.announceMediaNode(record, LONG_LEASE_MS);
    const namesake = enter();
    const imposter = { ...record, incarnation: mintIncarnation(), wanted: record.portSlice };
    expect(await namesake.claimPortSlice(imposter, LONG_LEASE_MS)).toMatchObject({ refused: null });
    expect(await namesake.announceMediaNode(imposter, LONG_LEASE_MS)).toEqual({ refused: 'id_taken' });
    await namesake.withdrawMediaNode(imposter.mediaNodeId, imposter.incarnation);
    const heir = mediaNodeRecord('node-b');
    expect(await registry.announceMediaNode(heir, LONG_LEASE_MS)).toMatchObject({ by: 'node-a' });
  });

  it('[CO10] nothing is left of a claim that is refused', async () => {
    const holders = [claimFromRange('node-a'), claimFromRange('node-b')];
    for (const holder of holders) await registry.claimPortSlice(holder, LONG_LEASE_MS);
    const before = await bookOf(agent, '192.0.2.1');
    const rival = enter();
    expect(await rival.claimPortSlice(claimFromRange('node-c'), LONG_LEASE_MS)).toMatchObject({
      refused: 'no_free_slice',
    });
    const exact = claimFromRange('node-c', { wanted: { firstPort: 40_050, lastPort: 40_060 } });
    expect(await rival.claimPortSlice(exact, LONG_LEASE_MS)).toMatchObject({
      refused: 'port_slice_overlap',
      by: 'node-a',
    });
    expect(Object.keys(await servicesOf(agent))).toHaveLength(2);
    expect(await sessionChecksOf(agent)).toHaveLength(2);
    expect(await bookOf(agent, '192.0.2.1')).toEqual(before);
  });

  it('[CO14] a slice under two addresses is entered under both or under neither', async () => {
    const rivals = Array.from({ length: 6 }, () => enter());
    const wanted = { range: { firstPort: 40_000, lastPort: 40_299 }, size: 100, except: [] };
    const results = await Promise.all(
      rivals.map(async (rival, index) =>
        rival.claimPortSlice(
          claimFromRange(`node-${index}`, {
            // Each shares its IPv6 address with one half, and its IPv4 address with the other.
            announcedAddress: `192.0.2.${Math.floor(index / 2)}`,
            announcedIpv6: `2001:db8::${index % 2}`,
            wanted,
          }),
          LONG_LEASE_MS,
        ),
      ),
    );
    const entries = new Map<string, string[]>();
    for (const address of ['192.0.2.0', '192.0.2.1', '192.0.2.2', '2001:db8::0', '2001:db8::1']) {
      const firstPorts = (await bookOf(agent, address)).map(({ portSlice }) => portSlice.firstPort);
      expect(new Set(firstPorts).size).toBe(firstPorts.length);
      for (const { mediaNodeId } of await bookOf(agent, address)) {
        entries.set(mediaNodeId, [...(entries.get(mediaNodeId) ?? []), address]);
      }
    }
    expect(results.filter(({ refused }) => refused === null)).toHaveLength(entries.size);
    expect([...entries.values()].every((addresses) => addresses.length === 2)).toBe(true);
  });

  it('[CO3] renewals write nothing to Consul, whatever the load does', async () => {
    const loads = new MemoryRegistry();
    const announcer = enter(loads);
    const record = mediaNodeRecord('node-a');
    await announcer.announceMediaNode(record, LONG_LEASE_MS);
    const lastWrite = async (): Promise<number> => {
      const { Stats } = z
        .object({ Stats: z.object({ raft: z.object({ last_log_index: z.coerce.number() }) }) })
        .parse(await agent.ask('GET', '/v1/agent/self'));
      return Stats.raft.last_log_index;
    };
    const before = await lastWrite();
    for (let peerCount = 1; peerCount <= 20; peerCount += 1) {
      const load = { ...record.load, workerCpu: peerCount / 100 };
      const told = { load, peerCount, recentJoins: peerCount, reportedAtMs: peerCount };
      await announcer.announceMediaNode({ ...record, ...told }, LONG_LEASE_MS);
    }
    expect(await lastWrite()).toBe(before);
    expect(await enter(loads).liveMediaNodes()).toMatchObject([
      { load: { workerCpu: 0.2 }, peerCount: 20, recentJoins: 20, reportedAtMs: 20 },
    ]);
  });

  it('[CO15] while the channel of the loads is away the last ones count, and everything else goes on', async () => {
    const ownRedis = await startRedisServer();
    const connection = new Redis(ownRedis.url, { maxRetriesPerRequest: 0, enableOfflineQueue: false });
    connection.on('error', () => undefined);
    const loads = new RedisRegistry(scriptRunner(connection), KEYS, (detail) => expect.unreachable(detail()));
    await waitFor('the channel', () => Promise.resolve(connection.status === 'ready'));
    const both = enter(loads);
    const record = mediaNodeRecord('node-a', { peerCount: 7 });
    await both.announceMediaNode(record, LONG_LEASE_MS);
    expect(await both.liveMediaNodes()).toEqual([record]);
    await ownRedis.stop();
    const draining = { ...record, state: 'draining' as const, peerCount: 8 };
    expect(await both.announceMediaNode(draining, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await both.liveMediaNodes()).toEqual([{ ...draining, peerCount: 7 }]);
    connection.disconnect();
  });

  it('[CO4] services carry datacenter, address, slice, version, incarnation and state as metadata', async () => {
    const record = mediaNodeRecord('node-a', { announcedAddress: '2001:db8::1' });
    await registry.announceMediaNode(record, LONG_LEASE_MS);
    const [service] = Object.values(
      z
        .record(z.string(), z.looseObject({ Service: z.string() }))
        .parse(await agent.ask('GET', '/v1/agent/services')),
    );
    expect(service).toMatchObject({
      Service: 'plenary-media-node',
      Address: '127.0.0.1',
      Port: 3100,
      Meta: {
        datacenter: 'gra',
        'announced-address': '2001:db8::1',
        'first-port': '20000',
        'last-port': '20099',
        version: String(record.controlVersion),
        incarnation: record.incarnation,
        state: 'serving',
      },
    });
    expect(await registry.liveMediaNodes()).toEqual([record]);
  });

  it('[CO17] what somebody else registers in place of a service stands until its next renewal', async () => {
    const record = mediaNodeRecord('node-a');
    await registry.announceMediaNode(record, LONG_LEASE_MS);
    const services = z.record(
      z.string(),
      z.looseObject({ ID: z.string(), Meta: z.record(z.string(), z.string()) }),
    );
    const [service] = Object.values(services.parse(await agent.ask('GET', '/v1/agent/services')));
    if (service === undefined) throw new Error('it is not registered');
    await agent.ask('PUT', '/v1/agent/service/register', {
      ID: service.ID,
      Name: 'plenary-media-node',
      Address: '127.0.0.1',
      Port: 9,
      Meta: { ...service.Meta, 'control-url': 'http://127.0.0.1:9' },
      Check: { CheckID: service.ID, TTL: '600s', Status: 'passing' },
    });
    const controlUrlOf = async (): Promise<string | undefined> =>
      (await registry.liveMediaNodes()).find(({ mediaNodeId }) => mediaNodeId === 'node-a')?.controlUrl;
    await waitFor('the other one to be listed', async () => (await controlUrlOf()) === 'http://127.0.0.1:9');
    expect(await registry.announceMediaNode(record, LONG_LEASE_MS)).toEqual({ refused: null });
    await waitFor('the node’s own to be listed', async () => (await controlUrlOf()) === record.controlUrl);
  });

  it('[CO18] a critical check of the host, whoever made it, is said once by the process that is not listed for it', async () => {
    const logger = silentLogger();
    const [error, info] = [vi.spyOn(logger, 'error'), vi.spyOn(logger, 'info')];
    registry.close();
    registry = new ConsulRegistry({
      namespace: DEFAULT_NAMESPACE,
      consul: { address: consulAddressSetting.parse(agent.address), token: undefined },
      loads: new MemoryRegistry(),
      logger,
    });
    opened.push(registry);
    const renew = async (): Promise<unknown> => registry.announceEdge(record, LONG_LEASE_MS);
    const record = edgeRecord('edge-a');
    await renew();
    expect(await idsOf(registry)).toEqual(['edge-a']);
    await agent.ask('PUT', '/v1/agent/check/register', {
      Name: 'disk',
      ID: 'disk',
      TTL: '600s',
      Status: 'critical',
    });
    await waitFor('the edge not to be listed', async () => (await idsOf(registry)).length === 0);
    for (let count = 0; count < 3; count += 1) await renew();
    expect(error).toHaveBeenCalledOnce();
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ checks: ['disk'] }), expect.any(String));
    await agent.ask('PUT', '/v1/agent/check/deregister/disk');
    await waitFor('the edge to be listed', async () => (await idsOf(registry)).length === 1);
    info.mockClear();
    await renew();
    expect(info).toHaveBeenCalledOnce();
  });

  it('[CO16] what is malformed in the catalog is skipped and reported once', async () => {
    const logger = silentLogger();
    const reported = vi.spyOn(logger, 'error');
    registry.close();
    registry = new ConsulRegistry({
      namespace: DEFAULT_NAMESPACE,
      consul: { address: consulAddressSetting.parse(agent.address), token: undefined },
      loads: new MemoryRegistry(),
      logger,
    });
    opened.push(registry);
    const id = 'plenary-edge:foreign';
    await agent.ask('PUT', '/v1/agent/service/register', {
      ID: id,
      Name: 'plenary-edge',
      Meta: { id: '../..' },
      Check: { CheckID: id, TTL: '600s', Status: 'passing' },
    });
    await registry.announceEdge(edgeRecord('edge-a'), LONG_LEASE_MS);
    expect(await idsOf(registry)).toEqual(['edge-a']);
    expect(await idsOf(registry)).toEqual(['edge-a']);
    expect(reported).toHaveBeenCalledOnce();
  });

  it('[CO16] a malformed book of slices is taken for an empty one, and reported', async () => {
    const logger = silentLogger();
    const reported = vi.spyOn(logger, 'error');
    const consul = { address: consulAddressSetting.parse(agent.address), token: undefined };
    const node = new ConsulRegistry({
      namespace: DEFAULT_NAMESPACE,
      consul,
      loads: new MemoryRegistry(),
      logger,
    });
    opened.push(node);
    await agent.ask('PUT', '/v1/kv/plenary/slices/192.0.2.1', { not: 'a book' });
    expect(await node.claimPortSlice(claimFromRange('node-a'), LONG_LEASE_MS)).toMatchObject({
      refused: null,
    });
    expect(reported).toHaveBeenCalledOnce();
    expect(await bookOf(agent, '192.0.2.1')).toMatchObject([{ mediaNodeId: 'node-a' }]);
  });

  it('[CO19] [CO20] with the agent away nothing can be read or announced; back and empty, all is as before', async () => {
    const own = await startConsulAgent('own');
    try {
      const cutOff = enter(undefined, own);
      const record = mediaNodeRecord('node-a');
      await cutOff.announceMediaNode(record, LONG_LEASE_MS);
      expect(cutOff.availability.isAvailable()).toBe(true);
      await own.kill();
      await waitFor('the loss to be noticed', () => Promise.resolve(!cutOff.availability.isAvailable()));
      await expect(cutOff.liveMediaNodes()).rejects.toMatchObject({ code: 'store_unavailable' });
      await expect(cutOff.announceMediaNode(record, LONG_LEASE_MS)).rejects.toMatchObject({
        code: 'store_unavailable',
      });
      await own.restart();
      await waitFor('the return', () => Promise.resolve(cutOff.availability.isAvailable()));
      expect(await cutOff.announceMediaNode(record, LONG_LEASE_MS)).toEqual({ refused: null });
      expect(await cutOff.liveMediaNodes()).toEqual([record]);
      await cutOff.withdrawMediaNode(record.mediaNodeId, mintIncarnation());
      expect(await idsOf(cutOff)).toEqual(['node-a']);
    } finally {
      await own.stop();
    }
  });
});

const TOKEN = z.object({ SecretID: z.string() });

describe('registry (Consul with ACLs)', () => {
  const managementToken = '7f1d0f5c-31b0-4a3f-9c0f-2a5b1f6d8e11';
  let guarded: TestConsul;
  beforeAll(async () => {
    guarded = await startConsulAgent('acl', { managementToken });
  });
  afterAll(() => guarded.stop());

  const openWith = (token: string | undefined): ConsulRegistry =>
    new ConsulRegistry({
      namespace: DEFAULT_NAMESPACE,
      consul: { address: consulAddressSetting.parse(guarded.address), token },
      loads: new MemoryRegistry(),
      logger: silentLogger(),
    });

  it('[CO26] the policy in deploy/consul is enough to announce, to claim, to read and to withdraw', async () => {
    const Rules = readFileSync(
      join(import.meta.dirname, '../../../deploy/consul/plenary-policy.hcl'),
      'utf8',
    );
    await waitFor('the ACLs to be there', async () =>
      guarded.ask('PUT', '/v1/acl/policy', { Name: 'plenary', Rules }).then(
        () => true,
        () => false,
      ),
    );
    const { SecretID } = TOKEN.parse(
      await guarded.ask('PUT', '/v1/acl/token', { Policies: [{ Name: 'plenary' }] }),
    );
    const registry = openWith(SecretID);
    const [node, edge] = [mediaNodeRecord('node-a', { announcedIpv6: '2001:db8::1' }), edgeRecord('edge-a')];
    const claim = { ...node, wanted: { range: node.portSlice, size: 100, except: [] } };
    expect(await registry.claimPortSlice(claim, LONG_LEASE_MS)).toMatchObject({ refused: null });
    expect(await registry.announceMediaNode(node, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await registry.announceEdge(edge, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await registry.announceMediaNode(mediaNodeRecord('node-b'), LONG_LEASE_MS)).toMatchObject({
      refused: 'port_slice_overlap',
    });
    expect([await registry.liveMediaNodes(), await registry.liveEdges()]).toEqual([[node], [edge]]);
    await registry.withdrawMediaNode(node.mediaNodeId, node.incarnation);
    expect(await idsOf(registry)).toEqual(['edge-a']);
    registry.close();
  });

  it('[CO25] a token that may read the slices and not write them is told apart, and nobody tries again and again', async () => {
    const Rules = 'key_prefix "" { policy = "read" }';
    await guarded.ask('PUT', '/v1/acl/policy', { Name: 'reader', Rules });
    const { SecretID } = TOKEN.parse(
      await guarded.ask('PUT', '/v1/acl/token', { Policies: [{ Name: 'reader' }] }),
    );
    const client = new ConsulClient({
      address: consulAddressSetting.parse(guarded.address),
      token: SecretID,
    });
    const changes = ['192.0.2.1', '192.0.2.2'].map((key) => ({ key, value: '[]', index: 0 }));
    await expect(client.changeKeys(changes)).rejects.toThrow(/refuses the token/);
    client.close();
  });

  it('[CO25] without a token that suffices nobody is announced, and the refusal says so', async () => {
    const registry = openWith(undefined);
    await expect(registry.announceMediaNode(mediaNodeRecord('node-a'), LONG_LEASE_MS)).rejects.toThrow(
      /refuses the token/,
    );
    registry.close();
  });
});

describe('registry (Consul, two WAN-joined datacenters)', () => {
  let far: TestConsul;
  let here: ConsulRegistry;
  let there: ConsulRegistry;
  beforeAll(async () => {
    far = await startConsulAgent('sbg');
    await agent.joinWan(far);
    [here, there] = [open(agent), open(far)];
  });
  afterAll(async () => {
    here.close();
    there.close();
    await clean(agent);
    await far.stop();
  });
  const fromSbg = { datacenter: datacenter('sbg'), announcedAddress: '192.0.2.1' };

  it('[CO6] a node announced in one is seen in the other, and so is its end', async () => {
    const [near, distant] = [mediaNodeRecord('node-gra'), mediaNodeRecord('node-sbg', fromSbg)];
    await here.announceMediaNode(near, LONG_LEASE_MS);
    await there.announceMediaNode(distant, LONG_LEASE_MS);
    await waitFor('each to see both', async () => {
      const lists = [await here.liveMediaNodes(), await there.liveMediaNodes()];
      return lists.every((nodes) => nodes.map((node) => node.mediaNodeId).join() === 'node-gra,node-sbg');
    });
    expect(await here.liveMediaNodes()).toEqual([near, distant]);
    // Its announcer is gone: nobody renews it any more.
    await letLapse(there, distant);
    await waitFor('its death to be known', async () => (await idsOf(here)).join() === 'node-gra');
  });

  it('[CO22] an id, or ports of one address, that a node in the other holds are refused', async () => {
    const owner = mediaNodeRecord('node-a', fromSbg);
    await there.announceMediaNode(owner, LONG_LEASE_MS);
    await waitFor('it to be seen', async () => (await idsOf(here)).includes('node-a'));
    const namesake = mediaNodeRecord('node-a', { announcedAddress: '192.0.2.7' });
    expect(await here.announceMediaNode(namesake, LONG_LEASE_MS)).toEqual({ refused: 'id_taken' });
    const overlapping = mediaNodeRecord('node-c', { announcedAddress: '192.0.2.1' });
    expect(await here.announceMediaNode(overlapping, LONG_LEASE_MS)).toEqual({
      refused: 'port_slice_overlap',
      by: mediaNode('node-a'),
      portSlice: owner.portSlice,
    });
    expect(await idsOf(here)).not.toContain('node-c');
  });

  it('[CO23] a range is leased round what a node in the other holds under the address, and not what it had', async () => {
    const wanted = { range: { firstPort: 41_000, lastPort: 41_299 }, size: 100, except: [] };
    const claim = (name: string): PortSliceClaim =>
      claimFromRange(name, { announcedAddress: '192.0.2.3', wanted });
    const [gone, staying, near] = [claim('sbg-a'), claim('sbg-b'), claim('gra-a')];
    await there.claimPortSlice(gone, LONG_LEASE_MS);
    await there.claimPortSlice(staying, LONG_LEASE_MS);
    await there.withdrawMediaNode(gone.mediaNodeId, gone.incarnation);
    const firstPorts = [];
    for (const each of [near, claim('gra-b')]) {
      const result = await here.claimPortSlice(each, LONG_LEASE_MS);
      if (result.refused === null) firstPorts.push(result.portSlice.firstPort);
    }
    expect(firstPorts).toEqual([41_000, 41_200]);
    expect(await here.claimPortSlice(claim('gra-c'), LONG_LEASE_MS)).toMatchObject({
      refused: 'no_free_slice',
      holders: [
        { mediaNodeId: 'gra-a' },
        { mediaNodeId: 'sbg-b', restsForMs: null },
        { mediaNodeId: 'gra-b' },
      ],
    });
    const exact = { ...claim('gra-d'), wanted: { firstPort: 41_150, lastPort: 41_160 } };
    expect(await here.claimPortSlice(exact, LONG_LEASE_MS)).toMatchObject({ by: 'sbg-b' });
  });

  it('[CO22] of claims from one range in both at once none overlap', async () => {
    const wanted = { range: { firstPort: 42_000, lastPort: 42_599 }, size: 100, except: [] };
    const results = await Promise.all(
      [here, there, here, there].map(async (side, index) =>
        side.claimPortSlice(
          claimFromRange(`both-${index}`, { announcedAddress: '192.0.2.4', wanted }),
          LONG_LEASE_MS,
        ),
      ),
    );
    const firstPorts = results.map((result) => (result.refused === null ? result.portSlice.firstPort : 0));
    expect(firstPorts).not.toContain(0);
    expect(new Set(firstPorts).size).toBe(4);
  });
});
