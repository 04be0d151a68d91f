import { freePort } from '@plenary/cluster/testing/ports';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestClient } from './testing/test-client.ts';
import { EdgeProcess } from './testing/edge-process.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

let cluster: TestCluster;
let webRoot: string;
beforeAll(async () => {
  webRoot = await mkdtemp(join(tmpdir(), 'plenary-web-'));
  await mkdir(join(webRoot, 'assets'));
  await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>Plenary</title>');
  await writeFile(join(webRoot, 'assets/app-1.js'), `console.log("${'x'.repeat(600_000)}");`);
  cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
  await cluster.addEdge('edge-web', { PLENARY_WEB_ROOT: webRoot, PLENARY_GUESTS: 'on' });
});
afterAll(async () => {
  await cluster.stop();
  await rm(webRoot, { recursive: true });
});

describe('the process', () => {
  it('[CF13] lists every fault of its configuration and exits with 1', async () => {
    const start = EdgeProcess.start({
      id: 'not an id',
      redisUrl: 'http://not.redis',
      settings: { PLENARY_MISSPELT: '1' },
    });
    const fault = await start.then(
      () => '',
      (thrown: unknown) => String(thrown),
    );
    expect(fault).toContain('PLENARY_ID');
    expect(fault).toContain('REDIS_URL');
    expect(fault).toContain('PLENARY_MISSPELT');
  });

  it('[LC5] a port that is taken is said, and exits with 1', async () => {
    const port = new URL(cluster.edge(0).url).port;
    const settings = { PLENARY_PORT: port };
    const edge = EdgeProcess.launch(
      { id: 'late', redisUrl: cluster.redis.url, settings },
      Number(port),
      await freePort(),
    );
    expect(await edge.exited()).toBe(1);
    expect(edge.output).toContain(`PLENARY_PORT ${port} on 127.0.0.1: is taken by another process`);
  });

  it('[LC12] ends when the parent that holds its standard input is gone', async () => {
    const edge = await EdgeProcess.start({ id: 'orphan', redisUrl: cluster.redis.url });
    edge.closeInput();
    expect(await edge.exited()).toBe(0);
  });
});

describe('HTTP on uWebSockets.js', () => {
  it('[HT1] [HT4] serves the app, whole, compressed and without a body', async () => {
    const { url } = cluster.edge(0);
    const page = await fetch(`${url}/r/daily`);
    expect(await page.text()).toContain('Plenary');
    expect(page.headers.get('content-security-policy')).toContain("connect-src 'self' http: ws:");
    const plain = await fetch(`${url}/assets/app-1.js`, { headers: { 'accept-encoding': 'identity' } });
    expect((await plain.text()).length).toBeGreaterThan(600_000);
    const head = await fetch(`${url}/assets/app-1.js`, {
      method: 'HEAD',
      headers: { 'accept-encoding': 'identity' },
    });
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(600_000);
    expect(await head.text()).toBe('');
  });

  it('[OP6] tells people nothing that is for operators, and a load balancer one bit', async () => {
    const edge = cluster.edge(0);
    for (const path of ['/ready', '/metrics', '/admin/drain', '/admin/challenge'])
      expect([path, (await fetch(`${edge.url}${path}`)).status]).toEqual([path, 404]);
    const ready = await fetch(`${edge.url}/api/ready`);
    expect([ready.status, await ready.text()]).toEqual([200, '{}']);
    expect((await fetch(`${edge.url}/health`)).status).toBe(200);
    for (const path of ['/ready', '/metrics', '/health']) expect(await edge.status(path)).toBe(200);
  });

  it('[TK5] [RJ14] [SE3] a guest gets a token and joins with it', async () => {
    const { url } = cluster.edge(0);
    // As soon as the edge has read its own announcement it is named, too.
    const { token } = await waitFor('a token with the edge’s own URL', async () => {
      const answer = await fetch(`${url}/api/guest-token`, {
        method: 'POST',
        body: JSON.stringify({ roomId: 'guests', displayName: 'Ann' }),
      });
      expect(answer.status).toBe(200);
      const given = (await answer.json()) as { token: string; edges: { url: string }[] };
      return given.edges.some((edge) => edge.url === url) && given;
    });
    const ann = await TestClient.connect(url);
    const joined = await ann.join('guests', { token });
    // Who is let in as anybody is let in anew, or not any more.
    expect(joined.session.rejoinToken).toBeUndefined();
    expect(joined.session).toMatchObject({ displayName: 'Ann', role: 'speaker' });
    ann.close();
    const large = await fetch(`${url}/api/guest-token`, { method: 'POST', body: 'x'.repeat(100_000) });
    expect(large.status).toBe(413);
    expect(await large.json()).toMatchObject({ error: { code: 'message_too_large' } });
  });

  it('[HT8] a request that breaks off harms nobody', async () => {
    const { port } = new URL(cluster.edge(0).url);
    for (const start of [
      'POST /api/guest-token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
      'GET / HT',
      '\0\0\0',
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(start, () => socket.destroy());
        });
        socket.on('close', () => resolve());
        socket.on('error', () => resolve());
      });
    }
    expect(await cluster.edge(0).status('/health')).toBe(200);
  });
});
