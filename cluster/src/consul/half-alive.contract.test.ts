/** Tests a Consul that runs and does not serve: cut silently, failing, slow, without a leader, with a wrong token. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { silentLogger } from '../process/logging.ts';
import type { Logger } from '../process/logging.ts';
import { MemoryRegistry } from '../registry/memory-registry.ts';
import { startConsulAgent } from '../testing/consul-agent.ts';
import type { TestConsul } from '../testing/consul-agent.ts';
import { startConsulServers } from '../testing/consul-servers.ts';
import { HttpFront } from '../testing/http-front.ts';
import { mediaNodeRecord } from '../testing/samples.ts';
import { SilentRelay } from '../testing/silent-relay.ts';
import { waitFor } from '../testing/wait-for.ts';
import { ConsulRegistry } from './consul-registry.ts';
import { consulAddressSetting } from './settings.ts';

const LONG_LEASE_MS = 600_000;

interface Line {
  readonly level: 'error' | 'warn';
  readonly cause: unknown;
}

/** Keeps the lines that have a cause. */
function keepingLogger(lines: Line[]): Logger {
  const logger = silentLogger();
  for (const level of ['error', 'warn'] as const) {
    logger[level] = (fields: unknown) => {
      const said = z.object({ cause: z.string(), toDo: z.string() }).safeParse(fields);
      if (said.success) lines.push({ level, cause: said.data.cause });
    };
  }
  return logger;
}

const registries: ConsulRegistry[] = [];
afterEach(() => {
  for (const registry of registries.splice(0)) registry.close();
});

function open(address: string, lines: Line[] = [], token?: string): ConsulRegistry {
  const registry = new ConsulRegistry({
    namespace: DEFAULT_NAMESPACE,
    consul: { address: consulAddressSetting.parse(address), token },
    loads: new MemoryRegistry(),
    logger: keepingLogger(lines),
  });
  registries.push(registry);
  return registry;
}

/**
 * Repeats a request that was not answered in time, because the machine may stand still for a moment. The request must
 * be repeatable.
 */
async function patiently(question: () => Promise<unknown>): Promise<void> {
  await waitFor('Consul to answer', async () => {
    await question();
    return true;
  });
}

const untilAvailable = async ({ availability }: ConsulRegistry): Promise<unknown> =>
  waitFor('Consul to serve', () => availability.isAvailable());

describe('a Consul that is half alive', () => {
  let agent: TestConsul;
  beforeAll(async () => {
    agent = await startConsulAgent();
  });
  afterAll(() => agent.stop());

  it('[HL8] silently cut connections are replaced, and changes made meanwhile are seen', async () => {
    const relay = await SilentRelay.to(Number(agent.address.split(':')[1]));
    try {
      const lines: Line[] = [];
      const [near, far] = [open(`127.0.0.1:${relay.port}`, lines), open(agent.address)];
      await Promise.all([untilAvailable(near), untilAvailable(far)]);
      expect(await near.liveMediaNodes()).toEqual([]);
      expect(relay.lose()).toBeGreaterThan(1);
      const record = mediaNodeRecord('node-a');
      await patiently(() => far.announceMediaNode(record, LONG_LEASE_MS));
      await waitFor('every dead connection to be closed', () => relay.heldOnTo === 0);
      await waitFor('the node to be seen', async () =>
        near.liveMediaNodes().then(
          (nodes) => nodes.length === 1,
          () => false,
        ),
      );
      expect(near.availability.trouble).toBeUndefined();
      expect(lines).toEqual([{ level: 'warn', cause: 'no_answer' }]);
      await patiently(() => far.withdrawMediaNode(record.mediaNodeId, record.incarnation));
    } finally {
      relay.close();
    }
  });

  it.each([
    { answers: { status: 500, text: 'No cluster leader' }, cause: 'no_leader', level: 'warn' },
    { answers: { status: 500, text: 'rpc error making call' }, cause: 'failing', level: 'error' },
    { answers: { status: 403, text: 'ACL not found' }, cause: 'access_denied', level: 'error' },
    {
      answers: {
        status: 429,
        text: 'Your IP is issuing too many concurrent connections, please rate limit your calls',
      },
      cause: 'too_many_requests',
      level: 'error',
    },
    { answers: 'nothing', cause: 'no_answer', level: 'warn' },
  ] as const)(
    '[HL8] [HL36] $cause is logged once, and is over when Consul serves again',
    async ({ answers, cause, level }) => {
      const front = await HttpFront.to(`http://${agent.address}`);
      try {
        const lines: Line[] = [];
        const registry = open(front.address, lines);
        await untilAvailable(registry);
        const record = mediaNodeRecord('node-b');
        await patiently(() => registry.announceMediaNode(record, LONG_LEASE_MS));
        front.answerAll(answers);
        await waitFor('it to be noticed', () => registry.availability.trouble === cause);
        expect(registry.availability.isAvailable()).toBe(false);
        await expect(registry.liveMediaNodes()).rejects.toMatchObject({ code: 'store_unavailable' });
        front.answerAll(undefined);
        await untilAvailable(registry);
        expect(await registry.announceMediaNode(record, LONG_LEASE_MS)).toEqual({ refused: null });
        expect(await registry.liveMediaNodes()).toEqual([record]);
        expect(registry.availability.trouble).toBeUndefined();
        expect(lines).toEqual([{ level, cause }]);
        await patiently(() => registry.withdrawMediaNode(record.mediaNodeId, record.incarnation));
      } finally {
        front.close();
      }
    },
  );

  it('[HL38] queries that Consul holds for a minute are replaced by others, and no change is missed', async () => {
    const front = await HttpFront.to(`http://${agent.address}`);
    try {
      front.answerSome((url) => (/[?&]index=[1-9]/.test(url) ? 'nothing' : undefined));
      const lines: Line[] = [];
      const [near, far] = [open(front.address, lines), open(agent.address)];
      await Promise.all([untilAvailable(near), untilAvailable(far)]);
      const changes: boolean[] = [];
      near.availability.onChange((available) => changes.push(available));
      const record = mediaNodeRecord('node-c');
      const isSeen = async (): Promise<boolean> => (await near.liveMediaNodes()).length === 1;
      await patiently(() => far.announceMediaNode(record, LONG_LEASE_MS));
      await waitFor('the node to be seen', isSeen);
      await patiently(() => far.withdrawMediaNode(record.mediaNodeId, record.incarnation));
      await waitFor('its end to be seen', async () => !(await isSeen()));
      expect([changes, lines]).toEqual([[], [{ level: 'warn', cause: 'no_answer' }]]);
    } finally {
      front.close();
    }
  });

  it('[HL37] an empty list without this process itself counts as a lost right, and no process counts as gone', async () => {
    const front = await HttpFront.to(`http://${agent.address}`);
    try {
      const lines: Line[] = [];
      const registry = open(front.address, lines);
      await untilAvailable(registry);
      const record = mediaNodeRecord('node-d');
      await patiently(() => registry.announceMediaNode(record, LONG_LEASE_MS));
      front.answerSome((url) =>
        url.startsWith('/v1/health/service/')
          ? {
              status: 200,
              text: '[]',
              headers: { 'content-type': 'application/json', 'x-consul-index': '1' },
            }
          : undefined,
      );
      await waitFor('it to be noticed', async () => {
        await registry.announceMediaNode(record, LONG_LEASE_MS).catch(() => undefined);
        return registry.availability.trouble === 'access_denied';
      });
      await expect(registry.liveMediaNodes()).rejects.toMatchObject({ code: 'store_unavailable' });
      front.answerSome(() => undefined);
      await untilAvailable(registry);
      expect(await registry.liveMediaNodes()).toEqual([record]);
      expect(lines).toEqual([{ level: 'error', cause: 'access_denied' }]);
      await patiently(() => registry.withdrawMediaNode(record.mediaNodeId, record.incarnation));
    } finally {
      front.close();
    }
  });

  it('[HL19] [HL36] one that ends and comes back all the time is said at most once each time, with its cause, and is as before afterwards', async () => {
    const lines: Line[] = [];
    const registry = open(agent.address, lines);
    await untilAvailable(registry);
    const record = mediaNodeRecord('node-e');
    await patiently(() => registry.announceMediaNode(record, LONG_LEASE_MS));
    const ENDS = 6;
    const changes: boolean[] = [];
    registry.availability.onChange((available) => changes.push(available));
    for (let ended = 0; ended < ENDS; ended += 1) {
      await agent.kill();
      await waitFor('its end to be noticed', () => registry.availability.trouble !== undefined);
      expect(registry.availability.isAvailable()).toBe(false);
      await agent.restart();
    }
    await untilAvailable(registry);
    // There are fewer if it is back before its return counts, which depends on the machine (SPEC HL19).
    expect(changes.length).toBeLessThanOrEqual(2 * ENDS);
    expect(new Set(lines.map(({ cause }) => cause)).size).toBeGreaterThan(0);
    for (const { cause } of lines)
      expect(lines.filter((line) => line.cause === cause).length, String(cause)).toBeLessThanOrEqual(ENDS);
    // A restarted agent knows nothing: the owner announces itself again, as it does with each lease.
    expect(await registry.announceMediaNode(record, LONG_LEASE_MS)).toEqual({ refused: null });
    await waitFor('the node to be seen', async () => (await registry.liveMediaNodes()).length === 1);
    expect(await registry.liveMediaNodes()).toEqual([record]);
    expect(registry.availability.trouble).toBeUndefined();
    await patiently(() => registry.withdrawMediaNode(record.mediaNodeId, record.incarnation));
  });

  it('[HL36] an address without a listener and an unknown name are logged at the start', async () => {
    const lines: Line[] = [];
    open('127.0.0.1:1', lines);
    await waitFor('the first', () => lines.length === 1);
    open('consul.invalid:8500', lines);
    await waitFor('the second', () => lines.length === 2);
    expect(lines).toEqual([
      { level: 'error', cause: 'refused' },
      { level: 'error', cause: 'unknown_name' },
    ]);
  });
});

describe('Consul servers that lose their leader', () => {
  it('[HL36] are logged as no_leader, which is over when they have elected another one', async () => {
    const servers = await startConsulServers();
    try {
      const lines: Line[] = [];
      const registry = open(servers.address, lines);
      await untilAvailable(registry);
      const record = mediaNodeRecord('node-a');
      await patiently(() => registry.announceMediaNode(record, LONG_LEASE_MS));
      await servers.killMost();
      await waitFor('it to be noticed', () => registry.availability.trouble === 'no_leader');
      // While they lose their leader, slow servers may answer 500, or not at all.
      expect(lines.at(-1)).toEqual({ level: 'warn', cause: 'no_leader' });
      await expect(registry.liveMediaNodes()).rejects.toMatchObject({ code: 'store_unavailable' });
      await servers.restart();
      await untilAvailable(registry);
      await waitFor('the node to be there', async () =>
        registry.liveMediaNodes().then(
          (nodes) => nodes.length === 1,
          () => false,
        ),
      );
      expect(lines.filter(({ cause }) => cause === 'no_leader')).toHaveLength(1);
    } finally {
      await servers.stop();
    }
  });
});

describe('a Consul whose token loses its rights', () => {
  const managementToken = '7f1d0f5c-31b0-4a3f-9c0f-2a5b1f6d8e12';
  const TOKEN = z.object({ SecretID: z.string() });
  const POLICY = z.object({ ID: z.string() });
  let guarded: TestConsul;
  beforeAll(async () => {
    guarded = await startConsulAgent('acl', { managementToken });
  });
  afterAll(() => guarded.stop());

  it('[HL37] services that it may no longer read do not count as gone, and this is logged once', async () => {
    const full = 'service_prefix "" { policy = "write" } session_prefix "" { policy = "write" }';
    const rest =
      'key_prefix "" { policy = "write" } agent_prefix "" { policy = "read" } node_prefix "" { policy = "read" }';
    let policy: unknown;
    await waitFor('the ACLs to be there', async () => {
      policy = await guarded
        .ask('PUT', '/v1/acl/policy', { Name: 'plenary', Rules: `${full} ${rest}` })
        .catch(() => undefined);
      return policy !== undefined;
    });
    const { ID } = POLICY.parse(policy);
    const { SecretID } = TOKEN.parse(
      await guarded.ask('PUT', '/v1/acl/token', { Policies: [{ Name: 'plenary' }] }),
    );
    const lines: Line[] = [];
    const registry = open(guarded.address, lines, SecretID);
    await untilAvailable(registry);
    const record = mediaNodeRecord('node-a');
    await patiently(() => registry.announceMediaNode(record, LONG_LEASE_MS));
    expect(await registry.liveMediaNodes()).toEqual([record]);
    await guarded.ask('PUT', `/v1/acl/policy/${ID}`, { ID, Name: 'plenary', Rules: rest });
    await waitFor('the loss to be noticed', async () =>
      registry.announceMediaNode(record, LONG_LEASE_MS).then(
        () => false,
        () => !registry.availability.isAvailable(),
      ),
    );
    expect(registry.availability.trouble).toBe('access_denied');
    await expect(registry.liveMediaNodes()).rejects.toMatchObject({ code: 'store_unavailable' });
    await guarded.ask('PUT', `/v1/acl/policy/${ID}`, { ID, Name: 'plenary', Rules: `${full} ${rest}` });
    await untilAvailable(registry);
    expect(await registry.announceMediaNode(record, LONG_LEASE_MS)).toEqual({ refused: null });
    expect(await registry.liveMediaNodes()).toEqual([record]);
    expect(lines).toEqual([{ level: 'error', cause: 'access_denied' }]);
  });
});
