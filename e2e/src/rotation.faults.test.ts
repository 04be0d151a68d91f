/** Changes every secret of a cluster during a meeting by restarting real edges and media nodes, as HA_SETUP describes. */
import { randomBytes, randomUUID } from 'node:crypto';
import { PROTOCOL_VERSION, ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import { askAdmin, startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningEdge, RunningMediaNode } from '@plenary/deploy/local-cluster';
import { Bot, endMediaLinks, makeJoinToken, readRtpTimestamp } from '@plenary/loadtest/bots';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { drain } from './harness/drain.ts';
import { isNothing, leftOver } from './harness/left-over.ts';
import { plenaryctl } from './harness/plenaryctl.ts';
import { until } from './harness/until.ts';
import { RawClient } from './hostile/raw-client.ts';

const ROOM = 'rotation';
const MEDIA_WITHIN_MS = 60_000;
const READINESS = z.object({ reasons: z.array(z.string()) });
const JOINED = z.object({ session: z.object({ rejoinToken: z.string() }) });

/** One secret of each kind. */
interface Secrets {
  readonly cluster: string;
  readonly admin: string;
  readonly api: string;
}

/** One step: the secrets that processes restart with, and those that operators and the application use meanwhile. */
interface Step {
  readonly title: string;
  /** Processes sign with the first one and accept all. */
  readonly processes: readonly Secrets[];
  readonly others: Secrets;
}

const secret = (): string => randomBytes(32).toString('base64url');

type Settings = Readonly<Record<string, string>>;

const joinedBy = (secrets: readonly Secrets[], name: keyof Secrets): string =>
  secrets.map((one) => one[name]).join();

async function adminKey(kind: string, id: string, secrets: readonly Secrets[]): Promise<string> {
  return plenaryctl(['admin-key', kind, id], { PLENARY_ADMIN_TOKEN: joinedBy(secrets, 'admin') });
}

async function nodeKey(id: string, secrets: readonly Secrets[]): Promise<string> {
  return plenaryctl(['node-key', id], { PLENARY_CLUSTER_SECRET: joinedBy(secrets, 'cluster') });
}

/** An edge's environment with these secrets. */
async function edgeSettings(apiKey: string, id: string, secrets: readonly Secrets[]): Promise<Settings> {
  return {
    PLENARY_CLUSTER_SECRET: joinedBy(secrets, 'cluster'),
    PLENARY_ADMIN_KEY: await adminKey('edge', id, secrets),
    PLENARY_API_KEYS: secrets.map(({ api }) => `${apiKey}:${api}`).join(),
  };
}

/** A media node's environment with these secrets; it holds only keys of its own. */
async function nodeSettings(id: string, secrets: readonly Secrets[]): Promise<Settings> {
  return {
    PLENARY_NODE_KEY: await nodeKey(id, secrets),
    PLENARY_ADMIN_KEY: await adminKey('media-node', id, secrets),
  };
}

/** Sends joins and returns the answers; a client that joined leaves again. */
class JoinProbe {
  readonly #key: TestSessionKey;
  #rejoinToken = '';

  static async create(): Promise<JoinProbe> {
    return new JoinProbe(await TestSessionKey.create());
  }

  private constructor(key: TestSessionKey) {
    this.#key = key;
  }

  async join(edge: RunningEdge, token: string): Promise<string> {
    return this.#ask(edge, token, () => Promise.resolve({}));
  }

  /** Rejoins with the token of the last join. */
  async rejoin(edge: RunningEdge, token = this.#rejoinToken): Promise<string> {
    return this.#ask(edge, token, async (id) => ({ proof: await this.#key.proveRejoin(id, token) }));
  }

  get rejoinToken(): string {
    return this.#rejoinToken;
  }

  async #ask(
    edge: RunningEdge,
    token: string,
    prove: (connectionId: string) => Promise<{ readonly proof?: string }>,
  ): Promise<string> {
    const client = await RawClient.open(edge.publicUrl);
    try {
      await client.enter();
      const { outcome, data } = await client.request('join', {
        protocolVersion: PROTOCOL_VERSION,
        requestId: randomUUID(),
        roomId: ROOM,
        token,
        sessionKey: this.#key.jwk,
        media: { rtpCapabilities: ROUTER_RTP_CAPABILITIES, publish: false },
        ...(await prove(client.id)),
      });
      if (outcome !== 'ok') return outcome;
      this.#rejoinToken = JOINED.parse(data).session.rejoinToken;
      return await client.ask('leave', {});
    } finally {
      await client.close();
    }
  }
}

describe('the secrets of a cluster', () => {
  let cluster: LocalCluster;
  let old: Secrets;
  const next: Secrets = { cluster: secret(), admin: secret(), api: secret() };
  let joined = 0;

  beforeAll(async () => {
    cluster = await startLocalCluster({
      edges: 2,
      mediaNodes: 2,
      workers: 1,
      web: false,
      guests: false,
      datacenters: ['gra'],
      readyTimeoutMs: 180_000,
      env: { PLENARY_LOG_LEVEL: 'warn' },
      // Packing is off, so two people are on two nodes, which must trust each other.
      edge: () => ({ env: { PLENARY_PACKING_LIMIT: '0', PLENARY_ROOM_PEERS_PER_NODE: '1' } }),
    });
    const { clusterSecret, adminToken, apiSecret } = cluster;
    old = { cluster: clusterSecret, admin: adminToken, api: apiSecret };
  }, 200_000);
  afterAll(async () => {
    await endMediaLinks();
    await cluster.stop();
  });

  function token(apiSecret: string): string {
    joined += 1;
    return makeJoinToken({ apiKey: cluster.apiKey, apiSecret }, { subject: `p-${joined}`, roomId: ROOM });
  }

  async function join(
    edge: RunningEdge,
    apiSecret: string,
    more: Partial<Parameters<typeof Bot.join>[0]> = {},
  ): Promise<Bot> {
    const options = { edgeUrl: edge.publicUrl, roomId: ROOM, token: token(apiSecret), canPublish: false };
    const bot = await Bot.join({ ...options, name: `p-${joined}`, ...more });
    await bot.mediaArrived(MEDIA_WITHIN_MS);
    return bot;
  }

  /** One person joins at each edge, receives the meeting's tracks, and leaves. @returns their media nodes */
  async function newcomers({ api }: Secrets): Promise<string[]> {
    const bots: Bot[] = [];
    for (const edge of cluster.edges) bots.push(await join(edge, api));
    expect(bots.flatMap(({ problems }) => problems)).toEqual([]);
    await Promise.all(bots.map((bot) => bot.leave()));
    return bots.map(({ mediaNodeId }) => mediaNodeId);
  }

  /** A second cluster on the same store, with the old secrets; its processes need not become ready. */
  async function intruder(kind: 'edge' | 'media-node'): Promise<LocalCluster> {
    const PLENARY_NODE_KEY = await nodeKey('media-old-1', [old]);
    return startLocalCluster({
      edges: kind === 'edge' ? 1 : 0,
      mediaNodes: kind === 'edge' ? 0 : 1,
      workers: 1,
      web: false,
      datacenters: ['old'],
      redisUrl: cluster.redisUrl,
      env: { PLENARY_LOG_LEVEL: 'warn' },
      edge: () => ({ isAwaited: false, env: { PLENARY_CLUSTER_SECRET: old.cluster } }),
      mediaNode: () => ({ isAwaited: false, env: { PLENARY_NODE_KEY } }),
    });
  }

  it('[KY2] [KY3] [TK9] [OP5] all secrets change in a meeting that loses no packet, and the old ones are refused afterwards', async () => {
    const [first, second] = cluster.edges;
    if (first === undefined || second === undefined) throw new Error('the cluster has two edges');
    const sent: number[] = [];
    const got = new Set<number>();
    const publisher = await join(first, old.api, { canPublish: true });
    await publisher.publish('video', {
      intervalMs: 20,
      onSend: (packet) => sent.push(readRtpTimestamp(packet)),
    });
    const viewer = await join(second, old.api, {
      onPacket: (_, packet) => got.add(readRtpTimestamp(packet)),
    });
    await until(
      'media',
      () => got.size,
      (count) => count > 0,
    );
    const since = sent.findIndex((timestamp) => got.has(timestamp));
    const returning = await JoinProbe.create();
    expect(await returning.join(first, token(old.api))).toBe('ok');
    const oldRejoinToken = returning.rejoinToken;

    const steps: readonly Step[] = [
      { title: 'the old ones first', processes: [old, next], others: old },
      { title: 'the new ones first', processes: [next, old], others: next },
      { title: 'the new ones alone', processes: [next], others: next },
    ];
    const nodesOfNewcomers = new Set<string>();
    for (const { title, processes, others } of steps) {
      for (const node of [...cluster.edges, ...cluster.mediaNodes]) {
        expect(await drain(node, others.admin), `${node.id}, ${title}`).toMatchObject({ left: 0, cut: 0 });
        await node.restart(
          'publicUrl' in node
            ? await edgeSettings(cluster.apiKey, node.id, processes)
            : await nodeSettings(node.id, processes),
        );
        for (const nodeId of await newcomers(others)) nodesOfNewcomers.add(nodeId);
        // Only a bot that has an edge can post.
        for (const bot of [publisher, viewer]) await bot.postChat(`${node.id} has ${title}`);
      }
      if (processes.includes(old)) expect(await returning.rejoin(second, oldRejoinToken)).toBe('ok');
    }
    expect([...nodesOfNewcomers].sort()).toEqual(cluster.mediaNodes.map(({ id }) => id).sort());
    const all = sent.slice(since);
    await until(
      'the viewer has received every packet',
      () => all.filter((timestamp) => !got.has(timestamp)).length,
      (missing) => missing === 0,
    );
    expect([...publisher.problems, ...viewer.problems]).toEqual([]);

    for (const edge of cluster.edges) {
      expect(await returning.rejoin(edge, oldRejoinToken)).toBe('token_invalid');
      expect(await returning.join(edge, token(old.api))).toBe('token_invalid');
      expect(await returning.join(edge, token(next.api))).toBe('ok');
      expect(await returning.rejoin(edge)).toBe('ok');
    }
    for (const { operatorUrl } of [...cluster.edges, ...cluster.mediaNodes]) {
      const asked = { method: 'GET', path: '/admin/drain' };
      expect((await askAdmin({ url: operatorUrl }, [old.admin], asked)).status).toBe(401);
      expect((await askAdmin({ url: operatorUrl }, [next.admin], asked)).status).toBe(200);
    }

    const edges = await intruder('edge');
    try {
      await until(
        'every media node to refuse an edge with the old secret',
        () => reasonsAgainst(edges.edges[0]),
        (reasons) =>
          reasons.includes('no_control_link') && cluster.mediaNodes.every(logsDifferentSecrets('edge-old-1')),
        60_000,
      );
    } finally {
      await edges.stop();
    }
    const nodes = await intruder('media-node');
    try {
      await until(
        'every edge to refuse a media node with the old key',
        () => cluster.edges.every(logsDifferentSecrets('media-old-1')),
        Boolean,
        60_000,
      );
      expect(await newcomers(next)).not.toContain('media-old-1');
    } finally {
      await nodes.stop();
    }
    await Promise.all([publisher.leave(), viewer.leave()]);
    await until('everything is freed', () => leftOver(cluster), isNothing, 60_000);
  }, 600_000);
});

/** The reasons why an edge is not ready; empty while it does not listen yet. */
async function reasonsAgainst(edge: RunningEdge | undefined): Promise<readonly string[]> {
  const response = await fetch(`${edge?.operatorUrl}/ready`).catch(() => undefined);
  return response === undefined ? [] : READINESS.parse(await response.json()).reasons;
}

/** Whether a process's log names another process whose secret differs. */
function logsDifferentSecrets(id: string): (process: RunningEdge | RunningMediaNode) => boolean {
  return (process) =>
    process.logs().some((line) => line.includes(id) && line.includes('have different secrets'));
}
