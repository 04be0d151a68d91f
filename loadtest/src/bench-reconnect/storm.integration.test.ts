/** An edge stops while hundreds of people are on it: real edges, Redis, media node and sockets, and the web app's own client. */
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { afterEach, expect, it } from 'vitest';
import { startStormSite } from './site.ts';
import { runStorm } from './storm.ts';

const CLIENTS = 500;
/** Far beyond what a busy machine needs, in milliseconds: 500 people join and are back within two minutes, or never. */
const TIMEOUT_MS = 600_000;
const SHAPE = { clients: CLIENTS, edges: 3, processes: 2, roomSize: 20, joins: 5 };

let cluster: LocalCluster | undefined;
afterEach(async () => cluster?.stop());

it(
  '[HE5] 500 people of a killed edge resume on the others, none is lost and nobody notices, while others join',
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
    // Some people lose a second socket, if an edge is so busy that they consider it dead.
    expect(result.socketsLost).toBeGreaterThanOrEqual(CLIENTS);
    expect(result.newcomers.served).toBeGreaterThan(0);
    // Both remaining edges took a good part of the people; 500 even draws are 250 ± 11.
    const [, second, third] = cluster.edges;
    for (const edge of [second, third]) {
      expect(result.sessionsByEdge[edge?.id ?? '']).toBeGreaterThan(0);
    }
  },
  TIMEOUT_MS,
);

it(
  '[HE11] 200 people keep their identity while their edge restarts, and then the next ones',
  async () => {
    const shape = { ...SHAPE, clients: 200 };
    cluster = await startStormSite(shape);
    const result = await runStorm(cluster, { ...shape, how: 'flap' }, () => undefined);
    expect(result).toMatchObject({ neverIn: [], lost: 0, mediaReopened: 0, malformed: 0, incomplete: 0 });
    expect(result.newcomers.failures).toEqual([]);
  },
  TIMEOUT_MS,
);
