import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LocalClusterError } from './errors.ts';
import type { ProcessKind } from './options.ts';
import type { ClusterSecrets, PortSlice } from './plan.ts';

/** One process, as `cluster.json` names it. */
export interface ClusterFileProcess {
  readonly kind: ProcessKind;
  readonly id: string;
  readonly datacenter: string | null;
  /** Null while it does not run. */
  readonly pid: number | null;
  readonly url: string;
  readonly publicUrl?: string;
  readonly controlUrl?: string;
  readonly healthUrl?: string;
  readonly readyUrl?: string;
  readonly metricsUrl?: string;
  readonly portSlice?: PortSlice;
  readonly announcedAddress?: string;
}

/** The content of `cluster.json` while the cluster runs, for tools and tests. It contains no secret. */
export interface ClusterFile {
  /** The process that runs the cluster. */
  readonly pid: number;
  readonly startedAt: string;
  readonly redisUrl: string;
  /** Readable by its owner only; holds `{ apiKey, apiSecret }`. */
  readonly credentialsFile: string;
  readonly processes: readonly ClusterFileProcess[];
}

export function clusterFilePath(dataDir: string): string {
  return join(dataDir, 'cluster.json');
}

/** Writes a second file and renames it, so that nobody reads an incomplete file. */
export function writeClusterFile(path: string, content: ClusterFile): void {
  writePrivately(path, `${JSON.stringify(content, null, 2)}\n`, 0o644);
}

/**
 * Stores the API key and secret so that only this user reads them.
 * @returns where
 */
export function writeCredentials(dataDir: string, secrets: ClusterSecrets): string {
  const path = join(dataDir, 'credentials.json');
  const { apiKey, apiSecret } = secrets;
  writePrivately(path, `${JSON.stringify({ apiKey, apiSecret }, null, 2)}\n`, 0o600);
  return path;
}

function writePrivately(path: string, content: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, content, { mode });
  renameSync(fresh, path);
}

/**
 * Refuses a data folder that another live cluster uses. A dead cluster's folder may be reused.
 * @throws LocalClusterError
 */
export function refuseRunningCluster(dataDir: string): void {
  const path = clusterFilePath(dataDir);
  let pid: number | null = null;
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (
      typeof content === 'object' &&
      content !== null &&
      'pid' in content &&
      typeof content.pid === 'number'
    ) {
      pid = content.pid;
    }
  } catch {
    return; // There is none, or what is there was never finished: nobody runs on it.
  }
  if (pid === null || pid === process.pid || !isAlive(pid)) return;
  throw new LocalClusterError(
    `A cluster runs already on ${dataDir} (process ${pid}, see ${path}).\nStop it with Ctrl-C where it runs, or with \`kill ${pid}\`; or start this one beside it: npm start -- --port 4000 --rtp-port 22000 --data-dir .plenary-2`,
  );
}

/** Whether a process with this id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: the process runs and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
