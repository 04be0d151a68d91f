import { availableParallelism } from 'node:os';
import { isIP } from 'node:net';
import { z } from 'zod';
import {
  ConfigError,
  beyondOrigin,
  DATACENTER_ID,
  MAX_DRAIN_MS,
  MEDIA_NODE_ID,
  PORT_SLICE,
  consulAddressSetting,
  consulSettings,
  consulTokenSetting,
  familyOf,
  givenSettings,
  hostFault,
  hostSetting,
  identityOfNodeKeys,
  identityOfSecrets,
  integerSetting,
  isUnspecified,
  logLevelSetting,
  nodeKeysSetting,
  OPERATOR_SETTINGS,
  operatorConfigOf,
  operatorFaults,
  parseConfig,
  portSetting,
  secretsIn,
  secretsSetting,
  STORE_SETTINGS,
  TRACK_SOURCE,
  storeAddressOf,
  storeFaults,
  weakSecrets,
} from '@plenary/cluster';
import type {
  ConsulSettings,
  ControlIdentity,
  DatacenterId,
  Environment,
  MediaNodeId,
  Namespace,
  OperatorConfig,
  PortSlice,
  StoreAddress,
  TrackSource,
} from '@plenary/cluster';
import { DEFAULT_INCOMING_LIMITS } from './room/incoming-limits.ts';
import type { IncomingLimits } from './room/incoming-limits.ts';
import { planPorts } from './engine/port-plan.ts';
import { canonicalAddress, pairAddresses } from './media-address.ts';
import type { MediaAddresses } from './media-address.ts';
import type { PipeScope } from './pipe/pipe-path.ts';

const ADDRESSES = 'must be IP addresses or host names with commas between, without ports and brackets';
const addressesSetting = z.string().transform((text, context) => {
  const addresses = text.split(',').map((part) => canonicalAddress(part.trim()));
  const known = addresses.filter((address) => address !== undefined);
  if (known.length < addresses.length) context.addIssue(ADDRESSES);
  return known;
});
const listenIpSetting = addressesSetting.refine(
  (addresses) => addresses.every((address) => isIP(address) !== 0),
  'must be an IPv4 or IPv6 address, or one of each with a comma between',
);
const PIPE_ADDRESSES =
  'must be an IPv4 or IPv6 address that other media nodes reach, or one of each with a comma between';
const pipeAddressesSetting = addressesSetting
  .refine((addresses) => addresses.every((address) => isIP(address) !== 0), PIPE_ADDRESSES)
  .refine((addresses) => !addresses.some(isUnspecified), 'other media nodes cannot reach every interface')
  .refine((addresses) => new Set(addresses.map(familyOf)).size === addresses.length, PIPE_ADDRESSES);
const sliceSetting = z
  .string()
  .regex(/^\d+-\d+$/, 'must look like 20000-20099')
  .transform((text) => {
    const [firstPort, lastPort] = text.split('-').map(Number);
    return { firstPort, lastPort };
  })
  .pipe(PORT_SLICE);

/** Parses `source:kbit` pairs joined by commas into bits per second by source. */
const sourceLimitsSetting = z.string().transform((text, context): Partial<Record<TrackSource, number>> => {
  const limits: Partial<Record<TrackSource, number>> = {};
  for (const part of text.split(',')) {
    const [name, kbit = ''] = part.trim().split(':');
    const source = TRACK_SOURCE.safeParse(name);
    if (!source.success || !/^[1-9]\d{1,6}$/.test(kbit)) {
      context.addIssue({
        code: 'custom',
        message: `must be source:kbit joined by commas, of ${TRACK_SOURCE.options.join(', ')}`,
      });
      return z.NEVER;
    }
    limits[source.data] = Number(kbit) * 1_000;
  }
  return limits;
});

/** Packets per second that one worker on one core forwarded when measured. */
const PACKETS_PER_WORKER = 200_000;
/** Number of ports of a leased slice by default. */
export const DEFAULT_SLICE_SIZE = 100;

/** All settings of a media node, by the names of their environment variables. */
export const CONFIG_SCHEMA = z.object({
  PLENARY_ID: MEDIA_NODE_ID,
  PLENARY_DATACENTER: DATACENTER_ID,
  /** The address that the control links listen on; nothing else listens there. */
  PLENARY_HOST: hostSetting.default('0.0.0.0'),
  PLENARY_PORT: portSetting,
  /** URL of the control links for edges and other nodes; default `http://ANNOUNCED_ADDRESS:PORT`. */
  PLENARY_CONTROL_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL, such as http://10.1.0.21:4000' })
    .max(512)
    .refine(
      (text) => beyondOrigin(text) === undefined,
      'must be scheme, host and port only: http://10.1.0.21:4000',
    )
    .superRefine((text, context) => {
      const fault = hostFault(text);
      if (fault !== undefined) context.addIssue(fault);
    })
    .optional(),
  /** Addresses that RTP is bound on; default every interface, for each family that is announced. */
  PLENARY_LISTEN_IP: listenIpSetting.optional(),
  /**
   * Addresses of the RTP ports for clients and other nodes: one or several, such as a public and an internal one;
   * default PLENARY_LISTEN_IP if that names one interface.
   */
  PLENARY_ANNOUNCED_ADDRESS: addressesSetting.optional(),
  /** Addresses of the RTP ports for other media nodes, if they differ from those for browsers. */
  PLENARY_PIPE_ADDRESS: pipeAddressesSetting.optional(),
  /**
   * The nodes that use the pipe address: all, or those of the own datacenter if datacenters share no private network.
   */
  PLENARY_PIPE_SCOPE: z.enum(['cluster', 'datacenter']).default('cluster'),
  /** The node's ports; PLENARY_PORT_RANGE replaces it. */
  PLENARY_PORT_SLICE: sliceSetting.optional(),
  /** The port range that the node leases a slice of. */
  PLENARY_PORT_RANGE: sliceSetting.optional(),
  PLENARY_PORT_SLICE_SIZE: integerSetting(1, 64_512).default(DEFAULT_SLICE_SIZE),
  PLENARY_WORKERS: integerSetting(1, 256).optional(),
  PLENARY_MAX_PEERS: integerSetting(1, 100_000).default(1_000),
  /** Outgoing bitrate of the node; default: the speed of its interface, or 1000 when the system does not know it. */
  PLENARY_MAX_OUTGOING_MBIT: integerSetting(1, 10_000_000).optional(),
  /** Packets per second that the node may send and receive; default: what its workers can forward. */
  PLENARY_MAX_PACKETS_PER_SECOND: integerSetting(1, 1_000_000_000).optional(),
  /** Bitrate limit of one peer, and of each track by source, such as `camera:5000,screen:8000`. */
  PLENARY_MAX_INCOMING_KBIT: integerSetting(100, 1_000_000).default(
    DEFAULT_INCOMING_LIMITS.peerBitrate / 1_000,
  ),
  PLENARY_MAX_SOURCE_KBIT: sourceLimitsSetting.default({}),
  PLENARY_PIPE_LINGER_MS: integerSetting(0, 600_000).default(1_500),
  PLENARY_ORPHAN_GRACE_MS: integerSetting(0, 600_000).default(60_000),
  PLENARY_LEASE_MS: integerSetting(500, 120_000).default(5_000),
  /** How long SIGTERM gives peers to open media sessions elsewhere before the node stops; 0 stops it at once. */
  PLENARY_DRAIN_MS: integerSetting(0, MAX_DRAIN_MS).default(20_000),
  ...OPERATOR_SETTINGS,
  ...STORE_SETTINGS,
  CONSUL_HTTP_ADDR: consulAddressSetting.optional(),
  CONSUL_HTTP_TOKEN: consulTokenSetting.optional(),
  /** One secret, or several joined by commas during a rotation. */
  PLENARY_CLUSTER_SECRET: secretsSetting.optional(),
  /** Replaces the secret: the key of this node alone, as `plenaryctl node-key` prints it; or several. */
  PLENARY_NODE_KEY: nodeKeysSetting.optional(),
  MEDIASOUP_WORKER_BIN: z.string().min(1).optional(),
  PLENARY_LOG_LEVEL: logLevelSetting,
});

/** The source of a node's ports. */
export type SliceSource =
  | { readonly kind: 'explicit'; readonly portSlice: PortSlice }
  | { readonly kind: 'leased'; readonly range: PortSlice; readonly size: number };

/** The configuration of a media node, with all defaults in place. */
export interface MediaNodeConfig {
  /**
   * Settings that work but weaken the cluster's security, as `NAME: what, and what to do`; logged once, at the start.
   */
  readonly weaknesses: readonly string[];
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly host: string;
  readonly port: number;
  readonly controlUrl: string;
  readonly addresses: MediaAddresses;
  /** Addresses for other media nodes; empty when they are the announced ones. */
  readonly pipeAddresses: readonly string[];
  readonly pipeScope: PipeScope;
  readonly sliceSource: SliceSource;
  readonly workers: number;
  readonly maxPeers: number;
  /** In Mbit/s; `undefined` for the capacity of its interface. */
  readonly maxOutgoingMbit: number | undefined;
  readonly maxPacketsPerSecond: number;
  /** Limits on senders: a peer that keeps exceeding them is warned, paused and ended. */
  readonly incomingLimits: IncomingLimits;
  readonly pipeLingerMs: number;
  readonly orphanGraceMs: number;
  readonly leaseMs: number;
  readonly drainMs: number;
  readonly operators: OperatorConfig;
  readonly storeAddress: StoreAddress;
  /** `undefined`: the registry is in Redis. */
  readonly consul: ConsulSettings | undefined;
  readonly namespace: Namespace;
  /** The node's own credentials, and the callers that it accepts. */
  readonly identity: ControlIdentity;
  readonly workerBin: string | undefined;
  readonly logLevel: string;
  /** Exit when standard input ends, because the parent process has ended. */
  readonly parentPipe: boolean;
}

/** @throws ConfigError with every fault */
export function loadConfig(environment: Environment): MediaNodeConfig {
  // Faults between settings are found even if single settings are faulty, so that all are reported at once.
  const { values: given } = givenSettings(CONFIG_SCHEMA, environment);
  const paired = addressesOf(given);
  const sourced = sliceSourceOf(given);
  const crossFaults = [
    ...('faults' in paired ? paired.faults : []),
    ...('faults' in sourced ? sourced.faults : []),
    ...storeFaults(given),
  ];
  const parsed = parseConfig(CONFIG_SCHEMA, environment, ['PLENARY_PARENT_PIPE'], () => crossFaults);
  if ('faults' in paired || 'faults' in sourced || crossFaults.length > 0) throw new ConfigError(crossFaults);
  const operatorProblems = operatorFaults(parsed, 'media-node');
  if (operatorProblems.length > 0) throw new ConfigError(operatorProblems);
  const keyed = identityFrom(parsed);
  if ('fault' in keyed) throw new ConfigError([keyed.fault]);
  const { addresses } = paired;
  const workers = parsed.PLENARY_WORKERS ?? availableParallelism();
  return Object.freeze({
    weaknesses: weakSecrets([
      ['PLENARY_CLUSTER_SECRET', parsed.PLENARY_CLUSTER_SECRET ?? []],
      ['PLENARY_ADMIN_TOKEN', parsed.PLENARY_ADMIN_TOKEN ?? []],
    ]),
    mediaNodeId: parsed.PLENARY_ID,
    datacenter: parsed.PLENARY_DATACENTER,
    host: parsed.PLENARY_HOST,
    port: parsed.PLENARY_PORT,
    controlUrl:
      parsed.PLENARY_CONTROL_URL ??
      `${parsed.PLENARY_TLS_CERT_FILE === undefined ? 'http' : 'https'}://${inUrl(addresses[0].announced)}:${parsed.PLENARY_PORT}`,
    addresses,
    pipeAddresses: parsed.PLENARY_PIPE_ADDRESS ?? [],
    pipeScope: parsed.PLENARY_PIPE_SCOPE,
    sliceSource: sourced.source,
    workers,
    maxPeers: parsed.PLENARY_MAX_PEERS,
    maxOutgoingMbit: parsed.PLENARY_MAX_OUTGOING_MBIT,
    maxPacketsPerSecond: parsed.PLENARY_MAX_PACKETS_PER_SECOND ?? workers * PACKETS_PER_WORKER,
    incomingLimits: {
      peerBitrate: parsed.PLENARY_MAX_INCOMING_KBIT * 1_000,
      sourceBitrates: { ...DEFAULT_INCOMING_LIMITS.sourceBitrates, ...parsed.PLENARY_MAX_SOURCE_KBIT },
    },
    pipeLingerMs: parsed.PLENARY_PIPE_LINGER_MS,
    orphanGraceMs: parsed.PLENARY_ORPHAN_GRACE_MS,
    leaseMs: parsed.PLENARY_LEASE_MS,
    drainMs: parsed.PLENARY_DRAIN_MS,
    operators: operatorConfigOf(parsed),
    storeAddress: storeAddressOf(parsed),
    consul: consulSettings(parsed.CONSUL_HTTP_ADDR, parsed.CONSUL_HTTP_TOKEN),
    namespace: parsed.PLENARY_NAMESPACE,
    identity: keyed.identity,
    workerBin: parsed.MEDIASOUP_WORKER_BIN,
    logLevel: parsed.PLENARY_LOG_LEVEL,
    parentPipe: environment['PLENARY_PARENT_PIPE'] === '1',
  });
}

/** A media node needs no shared secret: its own key suffices. */
function identityFrom({
  PLENARY_ID: mediaNodeId,
  PLENARY_CLUSTER_SECRET: secrets,
  PLENARY_NODE_KEY: nodeKeys,
  PLENARY_NAMESPACE: namespace,
}: z.output<typeof CONFIG_SCHEMA>): { readonly identity: ControlIdentity } | { readonly fault: string } {
  if (nodeKeys !== undefined && secrets !== undefined) {
    return { fault: 'PLENARY_NODE_KEY: is given beside PLENARY_CLUSTER_SECRET; a node has one or the other' };
  }
  if (nodeKeys !== undefined) {
    const other = nodeKeys.find((key) => key.mediaNodeId !== mediaNodeId);
    if (other === undefined) return { identity: identityOfNodeKeys(mediaNodeId, nodeKeys) };
    return { fault: `PLENARY_NODE_KEY: is the key of ${other.mediaNodeId}, and this is ${mediaNodeId}` };
  }
  if (secrets === undefined) return { fault: 'PLENARY_NODE_KEY: is required, or PLENARY_CLUSTER_SECRET' };
  return {
    identity: identityOfSecrets(secretsIn(namespace, secrets), { kind: 'media-node', id: mediaNodeId }),
  };
}

const inUrl = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address);

/** A malformed setting is reported by the schema; this function adds no fault for it. */
function addressesOf(given: Environment): ReturnType<typeof pairAddresses> {
  const announced = optional(addressesSetting, given['PLENARY_ANNOUNCED_ADDRESS']);
  const listenIps = optional(listenIpSetting, given['PLENARY_LISTEN_IP']);
  if (announced === 'malformed' || listenIps === 'malformed') return { faults: [] };
  return pairAddresses(announced ?? [], listenIps ?? []);
}

function sliceSourceOf(
  given: Environment,
): { readonly source: SliceSource } | { readonly faults: readonly string[] } {
  const slice = optional(sliceSetting, given['PLENARY_PORT_SLICE']);
  const range = optional(sliceSetting, given['PLENARY_PORT_RANGE']);
  const size = optional(integerSetting(1, 64_512), given['PLENARY_PORT_SLICE_SIZE']);
  const workers = optional(integerSetting(1, 256), given['PLENARY_WORKERS']) ?? availableParallelism();
  const faults: string[] = [];
  if (slice === undefined && range === undefined) {
    faults.push('PLENARY_PORT_SLICE: is required, or PLENARY_PORT_RANGE to lease a slice of');
  }
  if (slice !== undefined && range !== undefined) {
    faults.push('PLENARY_PORT_RANGE: is given beside PLENARY_PORT_SLICE; a node has one or the other');
  }
  if (size !== undefined && range === undefined) {
    faults.push('PLENARY_PORT_SLICE_SIZE: is only for PLENARY_PORT_RANGE');
  }
  if (slice === 'malformed' || range === 'malformed' || size === 'malformed' || workers === 'malformed') {
    return { faults };
  }
  const source = sourceFrom(slice, range, size ?? DEFAULT_SLICE_SIZE);
  if (source === undefined) return { faults };
  if (source.kind === 'explicit') {
    const plan = planPorts(source.portSlice, workers);
    if ('fault' in plan) faults.push(`PLENARY_PORT_SLICE: ${plan.fault}`);
  } else {
    const { range: ports, size: wanted } = source;
    const plan = planPorts({ firstPort: ports.firstPort, lastPort: ports.firstPort + wanted - 1 }, workers);
    if ('fault' in plan) faults.push(`PLENARY_PORT_SLICE_SIZE: ${plan.fault}`);
    if (ports.lastPort - ports.firstPort + 1 < wanted) {
      faults.push(`PLENARY_PORT_RANGE: has no room for a slice of ${wanted} ports`);
    }
  }
  return faults.length > 0 ? { faults } : { source };
}

function sourceFrom(
  slice: PortSlice | undefined,
  range: PortSlice | undefined,
  size: number,
): SliceSource | undefined {
  if (slice !== undefined) return { kind: 'explicit', portSlice: slice };
  return range === undefined ? undefined : { kind: 'leased', range, size };
}

/** Parses a single setting; `undefined` when it is absent or empty. */
function optional<Schema extends z.ZodType>(
  schema: Schema,
  text: string | undefined,
): z.output<Schema> | undefined | 'malformed' {
  if (text === undefined) return undefined;
  const parsed = schema.safeParse(text);
  return parsed.success ? parsed.data : 'malformed';
}
