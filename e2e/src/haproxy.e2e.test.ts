/** `haproxy.example.cfg` in front of two real edges, unchanged except for addresses, ports and paths. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@plenary/cluster/testing/ports';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster, RunningEdge } from '@plenary/deploy/local-cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from './harness/certificate.ts';
import { startBeforeEdges } from './harness/early-proxy.ts';
import { Proxy, repositoryRoot } from './harness/proxy.ts';
import { replaceOnce } from './harness/replace-once.ts';
import { until } from './harness/until.ts';
import { Visitor } from './harness/visitor.ts';

const run = promisify(execFile);
const PAGE = '<!doctype html><title>Plenary behind HAProxy</title>';
/** Debian installs it in a folder that is not in a plain user's PATH. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin`;

/** A second backend with the alternative health check that the example has in a comment. */
function otherBackend(text: string, edge: RunningEdge, port: number): string {
  const lines = [...text.matchAll(/^ {4}# {3}(.+)$/gm)].map(([, line = '']) => `    ${line}`);
  expect(lines).toHaveLength(3);
  const server = `    server other ${new URL(edge.url).host}`;
  const front = [`frontend other_check`, `    bind 127.0.0.1:${port}`, `    default_backend other`];
  return [...front, 'backend other', ...lines, server, ''].join('\n');
}

describe('haproxy.example.cfg', () => {
  let cluster: LocalCluster;
  let proxy: Proxy;
  let visitor: Visitor;
  let otherPort: number;

  const edges = (): readonly [RunningEdge, RunningEdge] => {
    const [first, second] = cluster.edges;
    if (first === undefined || second === undefined) throw new Error('the cluster has two edges');
    return [first, second];
  };

  beforeAll(async () => {
    const port = await freePort();
    otherPort = await freePort();
    proxy = new Proxy();
    const { folder } = proxy;
    writeFileSync(join(folder, 'index.html'), PAGE);
    cluster = await startLocalCluster({
      edges: 2,
      mediaNodes: 1,
      workers: 1,
      web: folder,
      edge: () => ({
        publicUrl: `https://localhost:${port}`,
        // A killed edge may come back under its id once its lease has lapsed.
        env: { PLENARY_TRUSTED_PROXIES: '127.0.0.1', PLENARY_LEASE_MS: '1500' },
      }),
      env: { PLENARY_LOG_LEVEL: 'warn' },
    });
    const [first, second] = edges();
    const server = ({ url, operatorUrl }: RunningEdge): string =>
      `${new URL(url).host} port ${new URL(operatorUrl).port}`;
    await makeCertificate(folder);
    const [key, certificate] = ['key.pem', 'cert.pem'].map((name) =>
      readFileSync(join(folder, name), 'utf8'),
    );
    writeFileSync(join(folder, 'both.pem'), `${certificate ?? ''}${key ?? ''}`);
    const example = readFileSync(join(repositoryRoot, 'haproxy.example.cfg'), 'utf8');
    let text = example;
    for (const [from, to] of [
      ['10.1.0.11:3000', server(first)],
      ['10.1.0.12:3000', server(second)],
      ['10.2.0.11:3000', '127.0.0.1:1'],
      ['10.2.0.12:3000', '127.0.0.1:2'],
      ['bind :80', `bind 127.0.0.1:${await freePort()}`],
      ['bind :443', `bind 127.0.0.1:${port}`],
      ['/etc/haproxy/plenary.pem', join(folder, 'both.pem')],
      ['maxconn 100000', 'maxconn 200'],
    ] as const) {
      text = replaceOnce(text, from, to);
    }
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(file, `${text}${otherBackend(example, first, otherPort)}`);
    await run('haproxy', ['-c', '-f', file], { env: { PATH } });
    proxy.start('haproxy', ['-db', '-f', file], { PATH });
    visitor = new Visitor(port, readFileSync(join(folder, 'cert.pem'), 'utf8'), cluster);
    await until(
      'HAProxy serves',
      async () => {
        proxy.assertRuns();
        return statusOf('/');
      },
      (status) => status === '200',
    );
  });
  afterAll(async () => {
    visitor.leave();
    await proxy.stop();
    await cluster.stop();
  });

  const statusOf = (path: string): Promise<string> =>
    visitor.get(path).then(
      ({ status }) => String(status),
      (error: Error) => error.message,
    );

  const joinsAt = async (edge: RunningEdge): Promise<void> => {
    await until(
      `${edge.id} is given sockets`,
      () => visitor.joinedEdge('haproxy'),
      (joined) => joined.edgeId === edge.id,
    );
    visitor.leave();
  };

  it('[AD9] finds edges healthy by an HTTP/1.0 check, and serves page and sockets of each', async () => {
    expect(await visitor.get('/r/some-room')).toMatchObject({ status: 200, body: PAGE });
    for (const edge of edges()) await joinsAt(edge);
    for (const path of [
      '/metrics',
      '//metrics',
      '/%6detrics',
      '/METRICS',
      '/health',
      '/ready',
      '/admin/drain',
    ])
      expect(await statusOf(path), path).toBe('404');
  });

  it('[AD9] sends nobody to a dead edge, and people again once it is back', async () => {
    for (const [dying, living] of [edges(), [...edges()].reverse()] as const) {
      if (dying === undefined || living === undefined) throw new Error('the cluster has two edges');
      await dying.kill('SIGKILL');
      for (let round = 0; round < 10; round += 1) {
        expect(await statusOf('/')).toBe('200');
        expect((await visitor.joinedEdge('haproxy')).edgeId).toBe(living.id);
      }
      await dying.restart();
      await joinsAt(dying);
    }
  });

  it('[AD30] finds an edge healthy by HTTP/1.1 on its client port', async () => {
    await until(
      'the other backend serves',
      () => fetch(`http://127.0.0.1:${otherPort}/`).then(({ status }) => status),
      (status) => status === 200,
    );
  });

  it('[HL46] serves people as soon as an edge is ready, also when it started before any edge', async () => {
    await startBeforeEdges(proxy, edges(), visitor);
  });
});
