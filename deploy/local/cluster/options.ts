import { availableParallelism } from 'node:os';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { LocalClusterError } from './errors.ts';

/** The repository's root folder. */
export const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Options that one process may have for itself. */
export interface ProcessOverrides {
  /** Added to the process's environment, last. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the start waits until it is ready, and not only until it answers `/health`; true by default. */
  readonly isAwaited?: boolean;
  /** The address it listens on for HTTP. */
  readonly host?: string;
  readonly datacenter?: string;
  /** The network namespace that it runs in (Linux, as root); this process's own by default. */
  readonly namespace?: string;
  /** Media nodes only: the address announced to clients for media. */
  readonly announcedAddress?: string;
  /** Media nodes only: the address that media is received on. */
  readonly listenIp?: string;
  /** Edges only: the address that clients use, if a proxy is in front. */
  readonly publicUrl?: string;
}

export interface FixedPorts {
  /** Edges take this port and the following. */
  readonly edges: number;
  /** Edges, then media nodes take this port and the following for operators. */
  readonly operators: number;
  /** Media nodes take this port and the following for control. */
  readonly control: number;
  /** The first media node's slice of RTP ports begins here; the next one's follows. */
  readonly rtp: number;
}

/** How a local cluster looks. Everything has a default: two edges and two media nodes in two datacenters. */
export interface LocalClusterOptions {
  readonly edges?: number;
  readonly mediaNodes?: number;
  /** Workers of each media node; by default the machine's cores shared among the nodes, at least one. */
  readonly workers?: number;
  /** Dealt out in turn to edges and to media nodes; `gra` and `sbg` by default. */
  readonly datacenters?: readonly string[];
  /** `auto`, the default, finds free ports that no other local cluster of this machine takes. */
  readonly ports?: 'auto' | FixedPorts;
  /** RTP ports of each media node; 100 by default. */
  readonly sliceSize?: number;
  /** The address that edges and media nodes listen on for HTTP. */
  readonly host?: string;
  readonly announcedAddress?: string;
  readonly listenIp?: string;
  /** Holds Redis' data, `cluster.json`, the credentials and the logs; by default a folder that `stop` removes. */
  readonly dataDir?: string;
  /** An existing Redis to use instead of the cluster's own. */
  readonly redisUrl?: string;
  /** The address that the own Redis listens on, without a password; 127.0.0.1 by default. */
  readonly redisHost?: string;
  /** Whether the own Redis keeps its data over its restart; true by default. */
  readonly redisAppendOnly?: boolean;
  /** The folder that edges serve, or false for none; the built web app by default, where there is one. */
  readonly web?: string | false;
  readonly guests?: boolean;
  readonly logLevel?: string;
  /** For every edge and media node. */
  readonly env?: Readonly<Record<string, string>>;
  /** For the edge of this index, from 0. */
  readonly edge?: (index: number) => ProcessOverrides;
  /** For the media node of this index, from 0. */
  readonly mediaNode?: (index: number) => ProcessOverrides;
  /** How long all processes together may take to become ready; two minutes by default. */
  readonly readyTimeoutMs?: number;
  /** How long a process may take to stop before it is killed; 10 s by default. */
  readonly stopTimeoutMs?: number;
  /** Is called for every log line of a process, and for every process that ends unasked. */
  readonly onEvent?: (event: ClusterEvent) => void;
  /** Cancels a start in progress: running processes are stopped, and the start fails. */
  readonly abort?: AbortSignal;
  /** The programs themselves, for tests of the runner. */
  readonly programs?: { readonly edge: string; readonly mediaNode: string };
}

export type ProcessKind = 'edge' | 'media-node' | 'redis';

export type ClusterEvent =
  | { readonly type: 'log'; readonly id: string; readonly line: string }
  | {
      readonly type: 'exit';
      readonly id: string;
      readonly kind: ProcessKind;
      /** `exited with 1`, `was ended by SIGSEGV` */
      readonly how: string;
      readonly lastLines: readonly string[];
    };

/** The options with every default filled in. */
export type ClusterShape = Required<
  Omit<LocalClusterOptions, 'dataDir' | 'redisUrl' | 'onEvent' | 'edge' | 'mediaNode' | 'abort'>
> &
  Pick<LocalClusterOptions, 'dataDir' | 'redisUrl' | 'onEvent' | 'edge' | 'mediaNode' | 'abort'>;

const LOOPBACK = '127.0.0.1';

/**
 * Fills in the defaults and checks what can be checked without looking at the machine.
 * @throws LocalClusterError naming the invalid option
 */
export function completeOptions(options: LocalClusterOptions): ClusterShape {
  const edges = count('edges', options.edges ?? 2, 0, 100);
  const mediaNodes = count('media nodes', options.mediaNodes ?? 2, 0, 100);
  const workers = count(
    'workers',
    options.workers ?? Math.max(1, Math.floor(availableParallelism() / Math.max(1, mediaNodes))),
    1,
    64,
  );
  const sliceSize = count('RTP ports of a media node', options.sliceSize ?? 100, workers + 1, 10_000);
  const announcedAddress = options.announcedAddress ?? LOOPBACK;
  if (!isAddress(announcedAddress)) {
    throw new LocalClusterError(
      `The announced address is what browsers send their media to: an IP address or a host name, not \`${announcedAddress}\`.`,
    );
  }
  const local = isLoopback(announcedAddress);
  const host = options.host ?? (local ? LOOPBACK : '0.0.0.0');
  const built = join(repositoryRoot, 'web/dist');
  const datacenters = options.datacenters ?? ['gra', 'sbg'];
  if (datacenters.length === 0) throw new LocalClusterError('A cluster needs at least one datacenter.');
  return {
    ...options,
    edges,
    mediaNodes,
    workers,
    sliceSize,
    datacenters,
    announcedAddress,
    host,
    listenIp:
      options.listenIp ??
      (local ? announcedAddress.replace('localhost', LOOPBACK) : everyInterface(announcedAddress)),
    ports: options.ports ?? 'auto',
    redisHost: options.redisHost ?? LOOPBACK,
    redisAppendOnly: options.redisAppendOnly ?? true,
    web: options.web ?? (existsSync(join(built, 'index.html')) ? built : false),
    guests: options.guests ?? true,
    logLevel: options.logLevel ?? 'info',
    env: options.env ?? {},
    readyTimeoutMs: options.readyTimeoutMs ?? 120_000,
    stopTimeoutMs: options.stopTimeoutMs ?? 10_000,
    programs: options.programs ?? {
      edge: join(repositoryRoot, 'edge-signaling/src/main.ts'),
      mediaNode: join(repositoryRoot, 'media-node/src/main.ts'),
    },
  };
}

function count(what: string, value: number, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new LocalClusterError(
    `The number of ${what} is a whole number from ${minimum} to ${maximum}, not ${value}.`,
  );
}

/** The address that receives media for an announced address: all interfaces of its family. */
function everyInterface(announcedAddress: string): string {
  return isIP(announcedAddress) === 6 ? '::' : '0.0.0.0';
}

function isAddress(text: string): boolean {
  return isIP(text) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text);
}

function isLoopback(address: string): boolean {
  return address === '::1' || address === 'localhost' || address.startsWith('127.');
}
