/**
 * Starts a cluster of fixture processes, prints its `cluster.json` path and stays: a parent to be killed by a test.
 */
import { startLocalCluster } from '../cluster/index.ts';
import { fixturePrograms } from './fixtures.ts';

const cluster = await startLocalCluster({ programs: fixturePrograms, web: false });
console.log(cluster.clusterFile);
setInterval(() => undefined, 60_000);
