/** The real program against real processes. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MEDIA_NODE_ID, nodeKeyText } from '@plenary/cluster';
import { startLocalCluster } from '../local/cluster/index.ts';
import type { LocalCluster } from '../local/cluster/index.ts';

const MAIN = join(import.meta.dirname, 'main.ts');

interface Run {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

describe('plenaryctl', () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await startLocalCluster({
      web: false,
      edges: 1,
      mediaNodes: 1,
      workers: 1,
      readyTimeoutMs: 120_000,
    });
  });
  afterAll(() => cluster.stop());

  function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
    const environment = {
      PATH: process.env['PATH'],
      REDIS_URL: cluster.redisUrl,
      PLENARY_ADMIN_TOKEN: cluster.adminToken,
      // As in a node's own container.
      PLENARY_PORT: '3000',
      ...env,
    };
    return new Promise((resolve) => {
      execFile(process.execPath, [MAIN, ...args], { env: environment }, (error, output, errors) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output, errors });
      });
    });
  }

  it('drains a media node and an edge by their ids, tells how far they are, and puts them back', async () => {
    for (const { id, operatorUrl: url } of [...cluster.mediaNodes, ...cluster.edges]) {
      const drained = await run(['drain', id, '--deadline', '30s']);
      expect(drained).toMatchObject({ code: 0, errors: '' });
      expect(drained.output).toContain(`${id} is drained`);
      expect(await (await fetch(`${url}/ready`)).json()).toMatchObject({ ready: false });
      expect((await run(['status', id])).output).toContain(`${id} is drained`);
      expect((await run(['undrain', url])).output).toContain(`${id} serves 0`);
    }
  });

  it('[OP4] [OP14] lists rooms and people, and takes away what tokens grant', async () => {
    expect(await run(['rooms'])).toEqual({ code: 0, output: 'TENANT\tROOM\tPEOPLE\tEDGES\n', errors: '' });
    const people = await run(['people', cluster.apiKey, 'daily']);
    expect(people).toMatchObject({
      code: 0,
      errors: '',
      output: expect.stringContaining('PERSON\tNAME') as string,
    });
    expect(await run(['revoke', cluster.apiKey, '--room', 'daily', '--person', 'ann', '--end'])).toEqual({
      code: 0,
      output: 'Taken away. 0 sessions ended.\n',
      errors: '',
    });
    const [edge] = cluster.edges;
    const nowhere = { REDIS_URL: 'redis://127.0.0.1:1/0' };
    expect((await run(['rooms'], nowhere)).errors).toContain('The store does not answer');
    const asked = ['revoke', cluster.apiKey, '--end', '--edge', edge?.operatorUrl ?? ''];
    expect(await run(asked, nowhere)).toEqual({
      code: 0,
      output: 'Taken away. 0 sessions ended.\n',
      errors: '',
    });
    const misspelt = await run(['revoke', 'nobody', '--end']);
    expect(misspelt).toMatchObject({ code: 1, output: '' });
    expect(misspelt.errors).toContain('nobody is no API key of this edge');
  });

  it('[KY3] prints the key of a media node', async () => {
    const [node] = cluster.mediaNodes;
    if (node === undefined) throw new Error('there is a media node');
    const { code, output } = await run(['node-key', node.id], {
      PLENARY_CLUSTER_SECRET: cluster.clusterSecret,
    });
    expect(code).toBe(0);
    expect(output.trim()).toBe(nodeKeyText(cluster.clusterSecret, MEDIA_NODE_ID.parse(node.id)));
  });

  it('says what is wrong', async () => {
    const [node] = cluster.mediaNodes;
    if (node === undefined) throw new Error('there is a media node');
    const wrongs: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
      ['drain nobody', node.id],
      [
        `status ${node.operatorUrl}`,
        'refuses the token',
        { PLENARY_ADMIN_TOKEN: 'an admin token that no process has at all' },
      ],
      ['status http://127.0.0.1:1', 'does not answer'],
      ['explode', 'plenaryctl drain NODE'],
      [`status ${node.id}`, 'PLENARY_ADMIN_TOKEN: is required', { PLENARY_ADMIN_TOKEN: '' }],
    ];
    for (const [line, why, env] of wrongs) {
      const { code, errors } = await run(line.split(' '), env);
      expect([line, code]).toEqual([line, 1]);
      expect(errors).toContain(why);
    }
  });
});
