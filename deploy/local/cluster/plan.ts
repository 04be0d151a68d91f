import { adminKeyText, MEDIA_NODE_ID, nodeKeyText } from '@plenary/cluster';
import { LocalClusterError } from './errors.ts';
import type { ClusterShape, FixedPorts, ProcessOverrides } from './options.ts';

export interface PortSlice {
  readonly first: number;
  readonly last: number;
}

/** The values that all processes of a cluster share, made at each start. */
export interface ClusterSecrets {
  readonly clusterSecret: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly adminToken: string;
}

interface CommonPlan {
  /** Such as `edge-gra-1`. */
  readonly id: string;
  readonly datacenter: string;
  readonly host: string;
  readonly port: number;
  /** Its HTTP URL on this machine. */
  readonly url: string;
  readonly operatorPort: number;
  /** The URL of `/health`, `/ready`, `/metrics` and `/admin`. */
  readonly operatorUrl: string;
  /** The network namespace that it runs in; this process's own if absent. */
  readonly namespace?: string;
  /** Whether the start waits until it is ready, and not only until it answers `/health`. */
  readonly isAwaited: boolean;
  readonly env: Readonly<Record<string, string>>;
}

export interface EdgePlan extends CommonPlan {
  readonly kind: 'edge';
  /** The URL that clients use. */
  readonly publicUrl: string;
}

export interface MediaNodePlan extends CommonPlan {
  readonly kind: 'media-node';
  readonly controlUrl: string;
  readonly announcedAddress: string;
  readonly listenIp: string;
  readonly portSlice: PortSlice;
}

export type NodePlan = EdgePlan | MediaNodePlan;

/**
 * Plans the processes of the cluster and their environments. It is pure: ports are chosen before, and others
 * check whether they are free.
 * @throws LocalClusterError when the ports run into each other
 */
export function planCluster(
  shape: ClusterShape,
  ports: FixedPorts,
  redisUrl: string,
  secrets: ClusterSecrets,
): NodePlan[] {
  checkPorts(shape, ports);
  const common = {
    PLENARY_PARENT_PIPE: '1',
    // A cluster on one machine ends with all its people, who have nowhere else to go.
    PLENARY_DRAIN_MS: '0',
    PLENARY_LOG_LEVEL: shape.logLevel,
    REDIS_URL: redisUrl,
  };
  const names = new Map<string, number>();
  const nextId = (kind: string, datacenter: string) => {
    const prefix = `${kind}-${datacenter}`;
    const number = (names.get(prefix) ?? 0) + 1;
    names.set(prefix, number);
    return `${prefix}-${number}`;
  };
  const datacenterOf = (index: number, overrides: ProcessOverrides) =>
    overrides.datacenter ?? shape.datacenters[index % shape.datacenters.length] ?? 'gra';

  const edges = range(shape.edges).map((index): EdgePlan => {
    const overrides = shape.edge?.(index) ?? {};
    const datacenter = datacenterOf(index, overrides);
    const id = nextId('edge', datacenter);
    const host = overrides.host ?? shape.host;
    const port = ports.edges + index;
    const operatorPort = ports.operators + index;
    const publicUrl =
      overrides.publicUrl ?? `http://${publicHost(host, overrides.host ?? shape.announcedAddress)}:${port}`;
    const env: Record<string, string> = {
      ...common,
      PLENARY_ID: id,
      PLENARY_DATACENTER: datacenter,
      PLENARY_HOST: host,
      PLENARY_PORT: String(port),
      PLENARY_OPERATOR_PORT: String(operatorPort),
      PLENARY_OPERATOR_URL: localUrl(host, operatorPort),
      PLENARY_PUBLIC_URL: publicUrl,
      PLENARY_CLUSTER_SECRET: secrets.clusterSecret,
      PLENARY_ADMIN_KEY: adminKeyText(secrets.adminToken, { kind: 'edge', id }),
      PLENARY_API_KEYS: `${secrets.apiKey}:${secrets.apiSecret}`,
      PLENARY_GUESTS: shape.guests ? 'on' : 'off',
      ...(shape.web === false ? {} : { PLENARY_WEB_ROOT: shape.web }),
      ...shape.env,
      ...overrides.env,
    };
    const url = localUrl(host, port);
    const operatorUrl = localUrl(host, operatorPort);
    const places = { host, port, url, operatorPort, operatorUrl };
    return {
      kind: 'edge',
      id,
      datacenter,
      ...places,
      publicUrl,
      ...inNamespace(overrides),
      isAwaited: overrides.isAwaited ?? true,
      env,
    };
  });

  const mediaNodes = range(shape.mediaNodes).map((index): MediaNodePlan => {
    const overrides = shape.mediaNode?.(index) ?? {};
    const datacenter = datacenterOf(index, overrides);
    const id = nextId('media', datacenter);
    const host = overrides.host ?? shape.host;
    const port = ports.control + index;
    const operatorPort = ports.operators + shape.edges + index;
    const controlUrl = localUrl(host, port);
    const first = ports.rtp + index * shape.sliceSize;
    const portSlice = { first, last: first + shape.sliceSize - 1 };
    const announcedAddress = overrides.announcedAddress ?? shape.announcedAddress;
    const listenIp = overrides.listenIp ?? shape.listenIp;
    const env: Record<string, string> = {
      ...common,
      PLENARY_ID: id,
      PLENARY_DATACENTER: datacenter,
      PLENARY_HOST: host,
      PLENARY_PORT: String(port),
      PLENARY_OPERATOR_PORT: String(operatorPort),
      PLENARY_OPERATOR_URL: localUrl(host, operatorPort),
      PLENARY_CONTROL_URL: controlUrl,
      PLENARY_LISTEN_IP: listenIp,
      PLENARY_ADMIN_KEY: adminKeyText(secrets.adminToken, { kind: 'media-node', id }),
      PLENARY_NODE_KEY: nodeKeyText(secrets.clusterSecret, MEDIA_NODE_ID.parse(id)),
      PLENARY_ANNOUNCED_ADDRESS: announcedAddress,
      PLENARY_PORT_SLICE: `${portSlice.first}-${portSlice.last}`,
      PLENARY_WORKERS: String(shape.workers),
      ...shape.env,
      ...overrides.env,
    };
    return {
      kind: 'media-node',
      id,
      datacenter,
      host,
      port,
      url: controlUrl,
      operatorPort,
      operatorUrl: localUrl(host, operatorPort),
      controlUrl,
      announcedAddress,
      listenIp,
      portSlice,
      ...inNamespace(overrides),
      isAwaited: overrides.isAwaited ?? true,
      env,
    };
  });
  return [...edges, ...mediaNodes];
}

function checkPorts(shape: ClusterShape, ports: FixedPorts): void {
  const ranges = [
    { what: 'edges', first: ports.edges, last: ports.edges + shape.edges - 1 },
    { what: "media nodes' control", first: ports.control, last: ports.control + shape.mediaNodes - 1 },
    {
      what: 'operators',
      first: ports.operators,
      last: ports.operators + shape.edges + shape.mediaNodes - 1,
    },
    { what: "media nodes' RTP", first: ports.rtp, last: ports.rtp + shape.mediaNodes * shape.sliceSize - 1 },
  ].filter(({ first, last }) => last >= first);
  for (const { what, first, last } of ranges) {
    if (first < 1 || last > 65_535) {
      throw new LocalClusterError(
        `The ports of the ${what} would be ${first} to ${last}; ports go from 1 to 65535. Begin lower, or start fewer processes.`,
      );
    }
  }
  for (const [index, left] of ranges.entries()) {
    for (const right of ranges.slice(index + 1)) {
      if (left.first <= right.last && right.first <= left.last) {
        throw new LocalClusterError(
          `The ports of the ${left.what} (${left.first} to ${left.last}) and of the ${right.what} (${right.first} to ${right.last}) overlap. Begin one of them elsewhere, or start fewer processes.`,
        );
      }
    }
  }
}

/** The address at which this machine reaches a process that listens on this host. */
function localUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** Browsers allow camera and microphone on `localhost` without HTTPS, so that name is announced where it is correct. */
function publicHost(host: string, announcedAddress: string): string {
  const host4 = host === '127.0.0.1' || host === '::1' ? 'localhost' : announcedAddress;
  const shown = host4 === '127.0.0.1' ? 'localhost' : host4;
  return shown.includes(':') ? `[${shown}]` : shown;
}

function inNamespace({ namespace }: ProcessOverrides): Pick<CommonPlan, 'namespace'> {
  return namespace === undefined ? {} : { namespace };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
