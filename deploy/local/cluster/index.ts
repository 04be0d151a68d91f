/**
 * A whole Plenary cluster on one machine: for `npm start`, for the end-to-end tests and for the benchmarks.
 *
 *     const cluster = await startLocalCluster({ edges: 2, mediaNodes: 2 });
 *     await cluster.mediaNodes[0]?.kill('SIGKILL');
 *     await cluster.stop();
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { isAlive, refuseRunningCluster } from './cluster-file.ts';
import { LocalCluster, makeSecrets, nodeEnvironment } from './cluster.ts';
import { LocalClusterError } from './errors.ts';
import { completeOptions, repositoryRoot } from './options.ts';
import type { ClusterEvent, ClusterShape, LocalClusterOptions, ProcessKind } from './options.ts';
import { SHOWN_LINES } from './child.ts';
import { planCluster } from './plan.ts';
import type { NodePlan } from './plan.ts';
import { describeHolder, firstTakenUdpPort, isTcpPortFree, reservePorts } from './ports.ts';
import type { PortReservation } from './ports.ts';
import { createRedis } from './redis.ts';

export { askAdmin } from '@plenary/cluster';
export { LocalCluster } from './cluster.ts';
export type { RunningEdge, RunningMediaNode, RunningNode, RunningRedis } from './cluster.ts';
export type { ClusterFile, ClusterFileProcess } from './cluster-file.ts';
export { LocalDatacenters, whyNoDatacenters } from './datacenters.ts';
export type { ProcessPlace } from './datacenters.ts';
export type { DatacenterSize } from './datacenter-plan.ts';
export { LocalClusterError } from './errors.ts';
export type { ClusterEvent, FixedPorts, LocalClusterOptions, ProcessOverrides } from './options.ts';
export type { PortSlice } from './plan.ts';

/**
 * Starts a cluster and waits until every process of it answers 200 on `/ready`. Whatever had been started is stopped
 * again when it fails.
 * @throws LocalClusterError with a message that says what to do
 */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const shape = completeOptions(options);
  refuseMissingPrograms(shape);
  if (shape.dataDir !== undefined) refuseRunningCluster(shape.dataDir);
  const reservation =
    shape.ports === 'auto' ? await reservePorts(shape) : await checkedPorts(shape, shape.ports);
  let cluster: LocalCluster;
  try {
    cluster = await assemble(shape, reservation);
  } catch (error) {
    await reservation.release();
    throw error;
  }
  try {
    await Promise.race([cluster.start(), rejectOnAbort(shape.abort)]);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

async function assemble(shape: ClusterShape, reservation: PortReservation): Promise<LocalCluster> {
  const id = randomBytes(8).toString('hex');
  const secrets = makeSecrets();
  const redisUrl = shape.redisUrl ?? `redis://${shape.redisHost}:${reservation.redis}`;
  const plans = planCluster(shape, reservation.ports, redisUrl, secrets);
  // Automatic ports were checked when they were chosen; given ports are checked here, each with a name.
  if (shape.ports !== 'auto') await refuseTakenPorts(plans);

  const ownsDataDir = shape.dataDir === undefined;
  const dataDir = shape.dataDir ?? makeDataDir();
  const callbacks = (kind: ProcessKind, processId: string) => ({
    onLine: (line: string) => emit(shape, { type: 'log', id: processId, line }),
    onUnexpectedExit: (how: string) => {
      const lastLines = children.get(processId)?.logs().slice(-SHOWN_LINES) ?? [];
      emit(shape, { type: 'exit', id: processId, kind, how, lastLines });
      cluster.publish();
    },
  });
  const redis =
    shape.redisUrl !== undefined
      ? null
      : createRedis(
          {
            port: reservation.redis,
            host: shape.redisHost,
            folder: join(dataDir, 'redis'),
            appendOnly: shape.redisAppendOnly,
            clusterId: id,
          },
          callbacks('redis', 'redis'),
        );
  const nodes = plans.map((plan) => {
    const program = plan.kind === 'edge' ? shape.programs.edge : shape.programs.mediaNode;
    const env = nodeEnvironment(plan, id);
    const { kind, id: processId, namespace } = plan;
    const where = namespace === undefined ? {} : { namespace };
    const spec = { kind, id: processId, program: process.execPath, args: [program], ...where, env };
    return { plan, child: new Child(spec, callbacks(plan.kind, plan.id)) };
  });
  const children = new Map(nodes.map(({ plan, child }) => [plan.id, child]));
  if (redis !== null) children.set('redis', redis);
  const releasePorts = reservation.release;
  const cluster = new LocalCluster({
    id,
    shape,
    dataDir,
    ownsDataDir,
    secrets,
    redisUrl,
    redis,
    nodes,
    releasePorts,
  });
  return cluster;
}

function rejectOnAbort(abort: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new LocalClusterError('The start of the cluster was stopped.'));
    if (abort?.aborted === true) fail();
    abort?.addEventListener('abort', fail, { once: true });
  });
}

function emit(shape: ClusterShape, event: ClusterEvent): void {
  shape.onEvent?.(event);
}

/** Creates a folder for one run, named by this process, so that a dead run's folder can be recognised. */
function makeDataDir(): string {
  const parent = join(repositoryRoot, '.plenary', 'runs');
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    if (!isAlive(Number.parseInt(name, 10))) rmSync(join(parent, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(parent, `${process.pid}-`));
}

function refuseMissingPrograms(shape: ClusterShape): void {
  const needed = [
    ...(shape.edges > 0 ? [shape.programs.edge] : []),
    ...(shape.mediaNodes > 0 ? [shape.programs.mediaNode] : []),
  ];
  for (const program of needed) {
    if (!existsSync(program)) {
      throw new LocalClusterError(
        `${program} is missing. It belongs to the repository: \`git status\` shows what was removed.`,
      );
    }
  }
  if (typeof shape.web === 'string' && !existsSync(join(shape.web, 'index.html'))) {
    throw new LocalClusterError(
      `There is no index.html in ${shape.web}. Build the web app (npm run build:web), or start without it (--no-web).`,
    );
  }
}

/** The given ports, with a free one for Redis. */
async function checkedPorts(
  shape: ClusterShape,
  ports: Exclude<ClusterShape['ports'], 'auto'>,
): Promise<PortReservation> {
  let redis = ports.control + 100;
  while (shape.redisUrl === undefined && !(await isTcpPortFree(redis, '127.0.0.1'))) redis += 1;
  return { ports, redis, release: () => Promise.resolve() };
}

async function refuseTakenPorts(plans: readonly NodePlan[]): Promise<void> {
  for (const plan of plans) {
    for (const port of [plan.port, plan.operatorPort]) {
      if (await isTcpPortFree(port, plan.host)) continue;
      throw new LocalClusterError(
        `Port ${port}, where ${plan.id} is to listen, is taken${describeHolder(port, 'tcp')}.\nStop that process, or start the cluster on other ports: npm start -- --port ${plan.port + 1000}`,
      );
    }
    if (plan.kind !== 'media-node') continue;
    const { portSlice, listenIp, id } = plan;
    const taken = await firstTakenUdpPort(portSlice, listenIp);
    if (taken !== null) {
      throw new LocalClusterError(
        `UDP port ${taken} of ${id}'s slice (${portSlice.first} to ${portSlice.last}) is taken${describeHolder(taken, 'udp')}.\nStop that process, or begin the slices elsewhere: npm start -- --rtp-port ${portSlice.first + 2000}`,
      );
    }
  }
}
