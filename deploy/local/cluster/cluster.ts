import { THREADS } from '@plenary/cluster/thread-pool';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from './child.ts';
import { inheritedEnvironment } from './child.ts';
import { clusterFilePath, writeClusterFile, writeCredentials } from './cluster-file.ts';
import type { ClusterFileProcess } from './cluster-file.ts';
import { LocalClusterError } from './errors.ts';
import { waitUntilGone } from './leftovers.ts';
import type { ClusterShape } from './options.ts';
import type { ClusterSecrets, EdgePlan, MediaNodePlan, NodePlan, PortSlice } from './plan.ts';
import { waitUntilHealthy, waitUntilReady } from './ready.ts';
import { redactUrl, waitForRedis } from './redis.ts';

/** Every process of a cluster inherits this variable, which identifies the processes that we started. */
export const CLUSTER_MARK = 'LOCAL_CLUSTER_ID';

/** How long after the last process's end its own children (workers) may take to notice, on a machine that stands still for a while too. */
const LEFTOVER_TIMEOUT_MS = 10_000;

interface RunningProcess {
  /** Such as `media-gra-1`. */
  readonly id: string;
  /** Null while it does not run. */
  readonly pid: number | null;
  /**
   * Sends a signal (SIGKILL by default) and waits until the process is gone; SIGSTOP and SIGCONT freeze and thaw it.
   */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Its last lines, oldest first. */
  logs(): readonly string[];
}

export interface RunningRedis extends RunningProcess {
  /** Starts it again on its port, with its data where `redisAppendOnly` is on; waits until it answers. */
  restart(): Promise<void>;
}

export interface RunningNode extends RunningProcess {
  readonly datacenter: string;
  /** Its HTTP URL on this machine, without a trailing slash. */
  readonly url: string;
  /** The URL of `/health`, `/ready`, `/metrics` and `/admin`. */
  readonly operatorUrl: string;
  /**
   * Ends it if it runs (SIGTERM, then SIGKILL), starts it again, waits until it is ready.
   * @param changes - to its environment, for this start and every later one
   */
  restart(changes?: Readonly<Record<string, string>>): Promise<void>;
  /** Waits until it answers 200 on `/ready`; as long as at the start unless told. */
  waitUntilReady(timeoutMs?: number): Promise<void>;
}

export interface RunningEdge extends RunningNode {
  /** The address for browsers and clients. */
  readonly publicUrl: string;
}

export interface RunningMediaNode extends RunningNode {
  readonly controlUrl: string;
  readonly announcedAddress: string;
  readonly portSlice: PortSlice;
}

export interface StartedParts {
  readonly id: string;
  readonly shape: ClusterShape;
  readonly dataDir: string;
  /** Whether the folder was made for this cluster and is removed with it. */
  readonly ownsDataDir: boolean;
  readonly secrets: ClusterSecrets;
  readonly redisUrl: string;
  readonly redis: Child | null;
  readonly nodes: readonly { readonly plan: NodePlan; readonly child: Child }[];
  readonly releasePorts: () => Promise<void>;
}

/** A cluster on this machine. Made by `startLocalCluster`. */
export class LocalCluster {
  readonly edges: readonly RunningEdge[];
  readonly mediaNodes: readonly RunningMediaNode[];
  /** The cluster's own Redis, or null if it uses an existing one. */
  readonly redis: RunningRedis | null;
  readonly redisUrl: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly clusterSecret: string;
  /** Drains a process, as `plenaryctl` does. */
  readonly adminToken: string;
  readonly dataDir: string;
  readonly clusterFile: string;
  readonly #parts: StartedParts;
  readonly #credentialsFile: string;
  readonly #startedAt = new Date().toISOString();
  readonly #killAll = () => {
    for (const { child } of this.#parts.nodes) child.killNow();
    this.#parts.redis?.killNow();
  };
  #stopping: Promise<void> | null = null;

  constructor(parts: StartedParts) {
    this.#parts = parts;
    this.redisUrl = parts.redisUrl;
    this.apiKey = parts.secrets.apiKey;
    this.apiSecret = parts.secrets.apiSecret;
    this.clusterSecret = parts.secrets.clusterSecret;
    this.adminToken = parts.secrets.adminToken;
    this.dataDir = parts.dataDir;
    this.clusterFile = clusterFilePath(parts.dataDir);
    this.#credentialsFile = writeCredentials(parts.dataDir, parts.secrets);
    this.redis = parts.redis === null ? null : this.#redisHandle(parts.redis);
    this.edges = parts.nodes.flatMap(({ plan, child }) =>
      plan.kind === 'edge' ? [this.#edgeHandle(plan, child)] : [],
    );
    this.mediaNodes = parts.nodes.flatMap(({ plan, child }) =>
      plan.kind === 'media-node' ? [this.#mediaNodeHandle(plan, child)] : [],
    );
    process.on('exit', this.#killAll);
  }

  /** Starts what is to be started and waits until all is ready. `startLocalCluster` calls it once. */
  async start(): Promise<void> {
    await this.#parts.redis?.start();
    await waitForRedis(this.redisUrl, this.#parts.redis);
    const deadline = performance.now() + this.#parts.shape.readyTimeoutMs;
    await Promise.all(this.#parts.nodes.map(({ child }) => child.start()));
    this.publish();
    await Promise.all(
      this.#parts.nodes.map(({ plan, child }) =>
        (plan.isAwaited ? waitUntilReady : waitUntilHealthy)(child, plan.operatorUrl, deadline),
      ),
    );
  }

  /** Writes the current state to `cluster.json`. */
  publish(): void {
    if (this.#stopping !== null) return;
    writeClusterFile(this.clusterFile, {
      pid: process.pid,
      startedAt: this.#startedAt,
      redisUrl: redactUrl(this.redisUrl),
      credentialsFile: this.#credentialsFile,
      processes: [
        ...this.#describeRedis(),
        ...this.#parts.nodes.map(({ plan, child }) => describeNode(plan, child)),
      ],
    });
  }

  /**
   * Stops everything: edges first, so that nobody new comes in, then media nodes, then Redis, which both still need.
   * Afterwards nothing of the cluster is left: no process, no port, no file. May be called twice.
   * @throws LocalClusterError when a process stayed behind (it is then killed), since that is a bug
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Kills everything at once, for the second Ctrl-C. */
  killNow(): void {
    this.#killAll();
  }

  async #stop(): Promise<void> {
    const { nodes, shape, redis, releasePorts } = this.#parts;
    const stopKind = (kind: NodePlan['kind']) =>
      Promise.all(
        nodes.filter(({ plan }) => plan.kind === kind).map(({ child }) => child.stop(shape.stopTimeoutMs)),
      );
    await stopKind('edge');
    await stopKind('media-node');
    await redis?.stop(shape.stopTimeoutMs);
    process.off('exit', this.#killAll);
    const left = await waitUntilGone(CLUSTER_MARK, this.#parts.id, LEFTOVER_TIMEOUT_MS);
    for (const { pid } of left) killIfAlive(pid);
    this.#removeFiles();
    await releasePorts();
    if (left.length > 0) {
      const list = left.map(({ pid, command }) => `    ${pid} ${command}`).join('\n');
      throw new LocalClusterError(
        `These processes stayed behind when the cluster stopped, and were killed:\n${list}`,
      );
    }
  }

  #removeFiles(): void {
    const { dataDir, ownsDataDir } = this.#parts;
    const own = ownsDataDir ? [dataDir] : [this.clusterFile, this.#credentialsFile, join(dataDir, 'redis')];
    for (const path of own) rmSync(path, { recursive: true, force: true });
  }

  #describeRedis(): ClusterFileProcess[] {
    if (this.#parts.redis === null) return [];
    return [
      {
        kind: 'redis',
        id: 'redis',
        datacenter: null,
        pid: this.#parts.redis.pid,
        url: redactUrl(this.redisUrl),
      },
    ];
  }

  #redisHandle(child: Child): RunningRedis {
    const kill = (signal?: NodeJS.Signals) => this.#kill(child, signal);
    return {
      id: child.spec.id,
      get pid() {
        return child.pid;
      },
      logs: () => child.logs(),
      kill,
      restart: async () => {
        await child.stop(this.#parts.shape.stopTimeoutMs);
        await child.start();
        await waitForRedis(this.redisUrl, child);
        this.publish();
      },
    };
  }

  #edgeHandle(plan: EdgePlan, child: Child): RunningEdge {
    const { id, datacenter, url, operatorUrl, publicUrl } = plan;
    return withPid({ id, datacenter, url, operatorUrl, publicUrl, ...this.#nodeMethods(plan, child) }, child);
  }

  #mediaNodeHandle(plan: MediaNodePlan, child: Child): RunningMediaNode {
    const { id, datacenter, url, operatorUrl, controlUrl, announcedAddress, portSlice } = plan;
    const facts = { id, datacenter, url, operatorUrl, controlUrl, announcedAddress, portSlice };
    return withPid({ ...facts, ...this.#nodeMethods(plan, child) }, child);
  }

  #nodeMethods(
    plan: NodePlan,
    child: Child,
  ): Omit<RunningNode, 'id' | 'pid' | 'datacenter' | 'url' | 'operatorUrl'> {
    const { readyTimeoutMs, stopTimeoutMs } = this.#parts.shape;
    const ready = (timeoutMs = readyTimeoutMs) =>
      waitUntilReady(child, plan.operatorUrl, performance.now() + timeoutMs);
    return {
      logs: () => child.logs(),
      kill: (signal) => this.#kill(child, signal),
      waitUntilReady: ready,
      restart: async (changes = {}) => {
        await child.stop(stopTimeoutMs);
        child.change(changes);
        await child.start();
        this.publish();
        await ready();
      },
    };
  }

  async #kill(child: Child, signal?: NodeJS.Signals): Promise<void> {
    await child.kill(signal);
    this.publish();
  }
}

/** A process's id changes with its restarts, so it is read each time. */
function withPid<Handle extends object>(
  handle: Handle,
  child: Child,
): Handle & { readonly pid: number | null } {
  return Object.defineProperty({ ...handle, pid: null }, 'pid', { get: () => child.pid, enumerable: true });
}

function describeNode(plan: NodePlan, child: Child): ClusterFileProcess {
  const { kind, id, datacenter, url, operatorUrl } = plan;
  const common = {
    kind,
    id,
    datacenter,
    pid: child.pid,
    url,
    healthUrl: `${operatorUrl}/health`,
    readyUrl: `${operatorUrl}/ready`,
    metricsUrl: `${operatorUrl}/metrics`,
  };
  if (plan.kind === 'edge') return { ...common, publicUrl: plan.publicUrl };
  const { controlUrl, portSlice, announcedAddress } = plan;
  return { ...common, controlUrl, portSlice, announcedAddress };
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // The process ended before the kill, which is the wanted result.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** The environment of one node. As in the images: a process may need its first thread before it can set their number itself. */
export function nodeEnvironment(plan: NodePlan, clusterId: string): NodeJS.ProcessEnv {
  return { ...THREADS, ...inheritedEnvironment(), ...plan.env, [CLUSTER_MARK]: clusterId };
}

/** New secrets for one start. */
export function makeSecrets(): ClusterSecrets {
  const random = (bytes: number) => randomBytes(bytes).toString('base64url');
  // The key has no character that would break the form `key:secret,key:secret`.
  return {
    clusterSecret: random(32),
    apiKey: `local${randomBytes(6).toString('hex')}`,
    apiSecret: random(32),
    adminToken: random(32),
  };
}
