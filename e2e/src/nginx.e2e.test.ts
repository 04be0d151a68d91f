/** `nginx.example.conf` in front of two real edges, unchanged except for addresses and paths. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '@plenary/cluster/testing/ports';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from './harness/certificate.ts';
import { startBeforeEdges } from './harness/early-proxy.ts';
import { Proxy, repositoryRoot } from './harness/proxy.ts';
import { replaceOnce } from './harness/replace-once.ts';
import { until } from './harness/until.ts';
import { Visitor } from './harness/visitor.ts';

const run = promisify(execFile);
const PAGE = '<!doctype html><title>Plenary behind nginx</title>';
/** Debian installs it in a folder that is not in a plain user's PATH. */
const NGINX = 'nginx';
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin`;

describe('nginx.example.conf', () => {
  let cluster: LocalCluster;
  let proxy: Proxy;
  let visitor: Visitor;

  beforeAll(async () => {
    const port = await freePort();
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
    const [first = '', second = ''] = cluster.edges.map(({ url }) => new URL(url).host);
    await makeCertificate(folder);
    let text = readFileSync(join(repositoryRoot, 'nginx.example.conf'), 'utf8');
    for (const [from, to] of [
      ['server 10.1.0.11:3000', `server ${first}`],
      ['server 10.1.0.12:3000', `server ${second}`],
      ['server 10.2.0.11:3000', 'server 127.0.0.1:1'],
      ['server 10.2.0.12:3000', 'server 127.0.0.1:2'],
      ['listen 80;', `listen 127.0.0.1:${await freePort()};`],
      ['listen 443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['/etc/ssl/plenary/fullchain.pem', join(folder, 'cert.pem')],
      ['/etc/ssl/plenary/privkey.pem', join(folder, 'key.pem')],
    ] as const) {
      text = replaceOnce(text, from, to);
    }
    writeFileSync(join(folder, 'plenary.conf'), text);
    writeFileSync(join(folder, 'nginx.conf'), wrapper(folder));
    await run(NGINX, ['-t', '-p', folder, '-c', join(folder, 'nginx.conf')], { env: { PATH } });
    proxy.start(NGINX, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', 'daemon off;'], { PATH });
    visitor = new Visitor(port, readFileSync(join(folder, 'cert.pem'), 'utf8'), cluster);
    await until(
      'nginx serves',
      async () => {
        proxy.assertRuns();
        return visitor.get('/').then(
          ({ status }) => status,
          (error: Error) => error.message,
        );
      },
      (status) => status === 200,
    );
  });
  afterAll(async () => {
    visitor.leave();
    await proxy.stop();
    await cluster.stop();
  });

  async function untilServed(edgeId: string): Promise<void> {
    await until(
      `${edgeId} is given sockets`,
      () => visitor.joinedEdge('nginx'),
      (joined) => joined.edgeId === edgeId,
    );
    visitor.leave();
  }

  it('serves the page and answers 404 to the operators’ paths', async () => {
    const answer = await visitor.get('/r/some-room');
    expect(answer).toMatchObject({ status: 200, body: PAGE });
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
    for (const path of [
      '/metrics',
      '//metrics',
      '/%6detrics',
      '/METRICS',
      '/r/../metrics',
      '/health',
      '/ready',
      '/admin/drain',
    ]) {
      const hidden = await visitor.get(path);
      expect(hidden.status, path).toBe(404);
      expect(hidden.body, path).not.toContain('plenary_');
    }
  });

  it('carries WebSockets and serves every page request, also while an edge is dead', async () => {
    const [first, second] = cluster.edges;
    if (first === undefined || second === undefined) throw new Error('the cluster has two edges');
    for (const [dying, living] of [
      [first, second],
      [second, first],
    ] as const) {
      // Only requests show nginx that an edge is back: two seconds after a failure it tries one there again.
      await untilServed(dying.id);
      await untilServed(living.id);
      await dying.kill('SIGKILL');
      for (let round = 0; round < 10; round++) {
        expect((await visitor.get('/')).status).toBe(200);
        expect((await visitor.joinedEdge('nginx')).edgeId).toBe(living.id);
      }
      await dying.restart();
    }
  });

  it('[HL46] serves people as soon as an edge is ready, also when it started before any edge', async () => {
    await startBeforeEdges(proxy, cluster.edges, visitor);
  });
});

function wrapper(folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `pid ${folder}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 512; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  include ${folder}/plenary.conf;
}
`;
}
