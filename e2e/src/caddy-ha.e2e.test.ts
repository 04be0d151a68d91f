/** Runs `Caddyfile.ha.example` unchanged in front of two real edges, and tests the promises of its first lines. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@plenary/cluster/testing/ports';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningEdge } from '@plenary/deploy/local-cluster';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startBeforeEdges } from './harness/early-proxy.ts';
import { caddyEnvironment, repositoryRoot, startCaddy } from './harness/proxy.ts';
import type { RunningCaddy } from './harness/proxy.ts';
import { until } from './harness/until.ts';
import { Visitor } from './harness/visitor.ts';

const PAGE = '<!doctype html><title>Plenary behind Caddy</title>';

/** The address of an edge as Caddy dials it. */
const dial = (edge: RunningEdge): string => new URL(edge.url).host;

describe('Caddyfile.ha.example', () => {
  let webRoot: string;
  let cluster: LocalCluster;
  let caddy: RunningCaddy;
  let visitor: Visitor;
  let first: RunningEdge;
  let second: RunningEdge;

  beforeAll(async () => {
    webRoot = mkdtempSync(join(tmpdir(), 'plenary-page-'));
    writeFileSync(join(webRoot, 'index.html'), PAGE);
    const port = await freePort();
    cluster = await startLocalCluster({
      edges: 2,
      mediaNodes: 1,
      workers: 1,
      web: webRoot,
      edge: () => ({
        publicUrl: `https://localhost:${port}`,
        // A killed edge may come back under its id once its lease has lapsed.
        env: { PLENARY_TRUSTED_PROXIES: '127.0.0.1', PLENARY_LEASE_MS: '1500' },
      }),
      env: { PLENARY_LOG_LEVEL: 'warn' },
    });
    const [one, two] = cluster.edges;
    if (one === undefined || two === undefined) throw new Error('the cluster has two edges');
    [first, second] = [one, two];
    const edges = `${dial(first)} ${dial(second)}`;
    caddy = await startCaddy('Caddyfile.ha.example', port, {
      PLENARY_NEAR_EDGES: edges,
      PLENARY_ALL_EDGES: edges,
    });
    visitor = new Visitor(port, caddy.ca, cluster);
  });
  afterEach(() => {
    visitor.leave();
  });
  afterAll(async () => {
    await caddy.proxy.stop();
    await cluster.stop();
    rmSync(webRoot, { recursive: true, force: true });
  });

  /** Requests the page many times, five requests at once. @returns every answer that is not the page */
  async function pageFailures(times: number): Promise<string[]> {
    const failures: string[] = [];
    const ask = async (): Promise<void> => {
      const outcome = await visitor.get('/r/some-room').catch((error: Error) => error);
      if (outcome instanceof Error) failures.push(outcome.message);
      else if (outcome.status !== 200 || outcome.body !== PAGE) failures.push(String(outcome.status));
    };
    for (let sent = 0; sent < times; sent += 5) await Promise.all(Array.from({ length: 5 }, ask));
    return failures;
  }

  /** Waits until Caddy gives new sockets to both edges: earlier sockets stay open, so Caddy chooses the emptier edge. */
  async function untilBothServe(): Promise<void> {
    const seen = new Set<string>();
    await until(
      'both edges are given sockets',
      async () => {
        seen.add((await visitor.joinedEdge('both')).edgeId);
        return [...seen].sort();
      },
      (edgeIds) => edgeIds.length === 2,
    );
    visitor.leave();
  }

  it('serves the page over TLS and announces HTTPS only (HSTS)', async () => {
    const answer = await visitor.get('/');
    expect(answer).toMatchObject({ status: 200, body: PAGE });
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
    expect(answer.headers).not.toHaveProperty('server');
  });

  it.each([
    '/metrics',
    '/metrics?name=x',
    '/metrics/',
    '//metrics',
    '/METRICS',
    '/%6detrics',
    '/r/../metrics',
    '/./metrics',
    '/health',
    '/ready',
    '/admin/drain',
    '/%72eady',
  ])('answers 404 to %s, which is for operators only', async (path) => {
    const answer = await visitor.get(path);
    expect(answer.status).toBe(404);
    expect(answer.body).not.toMatch(/plenary_|"ready"|"status"/);
  });

  it('carries WebSockets: people join through it, on both edges', async () => {
    await untilBothServe();
  });

  it('serves every page and every new socket while one edge after the other is killed', async () => {
    for (const [dying, living] of [
      [first, second],
      [second, first],
    ] as const) {
      await untilBothServe();
      // A person on the edge that stays alive must not notice anything.
      const kept = await until(
        `somebody is on ${living.id}`,
        () => visitor.joinedEdge('kept'),
        ({ edgeId }) => edgeId === living.id,
      );
      const pages = pageFailures(150);
      await dying.kill('SIGKILL');
      for (let round = 0; round < 5; round++) {
        expect((await visitor.joinedEdge(`after-${dying.id}`)).edgeId).toBe(living.id);
      }
      expect(await pages).toEqual([]);
      expect(await pageFailures(20)).toEqual([]);
      expect(kept.socket.connected).toBe(true);
      visitor.leave();
      await dying.restart();
    }
    await untilBothServe();
  });

  /** Requests the page until some requests hang on the frozen edge. @returns all requests */
  async function askUntilSomeHang(): Promise<Promise<number>[]> {
    const pages: Promise<number>[] = [];
    let answered = 0;
    const ask = async (): Promise<number> => {
      const { status } = await visitor.get('/');
      answered += 1;
      return status;
    };
    await until(
      'requests hang on the frozen edge',
      () => {
        const hanging = pages.length - answered;
        // Several requests at once, because Caddy chooses the emptier edge.
        pages.push(...Array.from({ length: 6 }, ask));
        return hanging;
      },
      (hanging) => hanging >= 2,
    );
    return pages;
  }

  it.each(['SIGKILL', 'SIGCONT'] as const)(
    'repeats requests on another edge when the first edge took them and does not answer (ended by: %s)',
    async (end) => {
      await untilBothServe();
      await first.kill('SIGSTOP');
      try {
        const pages = await askUntilSomeHang();
        // If the edge only stays frozen, Caddy times out and tries the other edge.
        if (end === 'SIGKILL') await first.kill('SIGKILL');
        expect(await Promise.all(pages)).toEqual(Array.from(pages, () => 200));
      } finally {
        if (end === 'SIGKILL') await first.restart();
        else await first.kill('SIGCONT');
      }
      await first.waitUntilReady();
    },
  );

  it('serves the page while Redis is down, and joins are refused with store_unavailable', async () => {
    const { redis } = cluster;
    if (redis === null) throw new Error('The cluster has no Redis of its own.');
    await untilBothServe();
    const outputBefore = caddy.proxy.output.length;
    await redis.kill('SIGKILL');
    try {
      expect(await pageFailures(20)).toEqual([]);
      for (const edge of [first, second]) {
        await until(
          `Caddy has seen that ${edge.id} is not ready`,
          () => caddy.proxy.output.slice(outputBefore).split('\n'),
          (lines) => lines.some((line) => line.includes('"status_code":503') && line.includes(dial(edge))),
        );
      }
      expect(await pageFailures(20)).toEqual([]);
      const socket = await visitor.connect();
      expect(await visitor.join(socket, 'no-store')).toEqual({
        ok: false,
        code: 'store_unavailable',
        retryable: true,
      });
    } finally {
      await redis.restart();
    }
    await Promise.all([first.waitUntilReady(), second.waitUntilReady()]);
    await untilBothServe();
  });

  it('uses the other datacenter’s edge when all of its own are down, and answers 502 or 503 when all edges are', async () => {
    const port = await freePort();
    const near = await startCaddy('Caddyfile.ha.example', port, {
      PLENARY_NEAR_EDGES: dial(first),
      PLENARY_ALL_EDGES: `${dial(first)} ${dial(second)}`,
    });
    const neighbour = new Visitor(port, near.ca, cluster);
    try {
      for (let round = 0; round < 3; round++) {
        expect((await neighbour.get('/')).status).toBe(200);
      }
      await first.kill('SIGKILL');
      for (let round = 0; round < 20; round++) {
        expect((await neighbour.get('/')).status).toBe(200);
      }
      await second.kill('SIGKILL');
      expect((await neighbour.get('/')).status).toBeOneOf([502, 503]);
      await second.restart();
      await until(
        'Caddy serves again',
        () => neighbour.get('/'),
        ({ status }) => status === 200,
      );
    } finally {
      neighbour.leave();
      await near.proxy.stop();
      for (const edge of [first, second]) if (edge.pid === null) await edge.restart();
    }
  });

  it('[HL46] serves people as soon as an edge is ready, also when it started before any edge', async () => {
    await startBeforeEdges(caddy.proxy, [first, second], visitor);
  });
});

describe('Caddyfile.example', () => {
  it('is valid', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plenary-caddy-'));
    try {
      const file = join(repositoryRoot, 'Caddyfile.example');
      // Caddy resolves and checks the edges even to validate, so they are addresses of this machine.
      const env = { ...process.env, ...caddyEnvironment(folder), PLENARY_EDGES: '127.0.0.1:1 127.0.0.1:2' };
      const { stderr, stdout } = await promisify(execFile)(
        'caddy',
        ['validate', '--adapter', 'caddyfile', '--config', file],
        { env },
      );
      expect(stdout + stderr).toContain('Valid configuration');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
