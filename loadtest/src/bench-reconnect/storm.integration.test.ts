/** An edge goes while hundreds are on it: real edges, Redis, media node and sockets, and the web app's own client. */
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { afterEach, expect, it } from 'vitest';
import { startStormSite } from './site.ts';
import { runStorm } from './storm.ts';

const CLIENTS = 500;
/** Far beyond what it takes on a busy machine: 500 people join, are all back within two minutes, or are not. */
const TIMEOUT_MS = 600_000;
const SHAPE = { clients: CLIENTS, edges: 3, processes: 2, roomSize: 20, joins: 5 };

let cluster: LocalCluster | undefined;
afterEach(async () => cluster?.stop());

it(
  '[HE5] 500 people of a killed edge resume on the others, none lost and nobody noticing, while others join',
  async () => {
    cluster = await startStormSite(SHAPE);
    const result = await runStorm(cluster, { ...SHAPE, how: 'kill' }, () => undefined);
    expect(result).toMatchObject({
      neverIn: [],
      lost: 0,
      mediaReopened: 0,
      malformed: 0,
      incomplete: 0,
      newcomers: { failures: [] },
    });
    // Some lose a second one where an edge is so busy that they take it for gone.
    expect(result.socketsLost).toBeGreaterThanOrEqual(CLIENTS);
    expect(result.newcomers.served).toBeGreaterThan(0);
    // Both of the others took a good part of them; 500 even draws are 250 ± 11.
    const [, second, third] = cluster.edges;
    for (const edge of [second, third]) {
      expect(result.sessionsByEdge[edge?.id ?? '']).toBeGreaterThan(0);
    }
  },
  TIMEOUT_MS,
);

it(
  '[HE11] 200 people of an edge that restarts, and then of the next ones, are all back as who they were',
  async () => {
    const shape = { ...SHAPE, clients: 200 };
    cluster = await startStormSite(shape);
    const result = await runStorm(cluster, { ...shape, how: 'flap' }, () => undefined);
    expect(result).toMatchObject({ neverIn: [], lost: 0, mediaReopened: 0, malformed: 0, incomplete: 0 });
    expect(result.newcomers.failures).toEqual([]);
  },
  TIMEOUT_MS,
);
