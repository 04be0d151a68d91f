import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import type { ApiCredentials } from '../join-token.ts';

const CLUSTER_FILE = fileURLToPath(new URL('../../../.plenary/cluster.json', import.meta.url));

const RUNNING = z.object({
  credentialsFile: z.string(),
  processes: z.array(z.object({ kind: z.string(), url: z.string() })),
});
const CREDENTIALS = z.object({ apiKey: z.string(), apiSecret: z.string() });

/** The cluster under load. */
export interface Target {
  readonly edgeUrls: readonly string[];
  readonly credentials: ApiCredentials;
  /** Stops the cluster if it was started for this run. */
  close(): Promise<void>;
}

export async function startTarget(): Promise<Target> {
  const cluster = await startLocalCluster({ web: false, logLevel: 'warn' });
  return {
    edgeUrls: cluster.edges.map(({ url }) => url),
    credentials: { apiKey: cluster.apiKey, apiSecret: cluster.apiSecret },
    close: () => cluster.stop(),
  };
}

/** @throws Error if no cluster runs */
export function findRunningTarget(clusterFile = CLUSTER_FILE): Target {
  let text: string;
  try {
    text = readFileSync(clusterFile, 'utf8');
  } catch (cause) {
    throw new Error(`No cluster runs (there is no ${clusterFile}). Start one with \`npm start\`.`, { cause });
  }
  const running = RUNNING.parse(JSON.parse(text));
  return {
    edgeUrls: running.processes.filter(({ kind }) => kind === 'edge').map(({ url }) => url),
    credentials: CREDENTIALS.parse(JSON.parse(readFileSync(running.credentialsFile, 'utf8'))),
    close: () => Promise.resolve(),
  };
}
