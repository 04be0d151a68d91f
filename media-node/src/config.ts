import { availableParallelism } from 'node:os';
import { isIP } from 'node:net';
import { z } from 'zod';
import {
  ConfigError,
  DATACENTER_ID,
  MEDIA_NODE_ID,
  PORT_SLICE,
  consulAddressSetting,
  consulSettings,
  consulTokenSetting,
  integerSetting,
  logLevelSetting,
  parseConfig,
  portSetting,
  secretSetting,
  STORE_SETTINGS,
  storeAddressOf,
  storeFaults,
} from '@plenary/cluster';
import type {
  ConsulSettings,
  DatacenterId,
  Environment,
  MediaNodeId,
  PortSlice,
  StoreAddress,
} from '@plenary/cluster';
import { planPorts } from './engine/port-plan.ts';

const ipSetting = z.string().refine((value) => isIP(value) !== 0, 'must be an IPv4 or IPv6 address');
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;
const addressSetting = z
  .string()
  .refine((value) => isIP(value) !== 0 || HOST_NAME.test(value), 'must be an IP address or a host name');
const sliceSetting = z
  .string()
  .regex(/^\d+-\d+$/, 'must look like 20000-20099')
  .transform((text) => {
    const [firstPort, lastPort] = text.split('-').map(Number);
    return { firstPort, lastPort };
  })
  .pipe(PORT_SLICE);

/** What one worker on one core was measured to forward, in packets a second. */
const PACKETS_PER_WORKER = 200_000;

/** Every setting of a media node, by the name of its environment variable. */
export const CONFIG_SCHEMA = z.object({
  PLENARY_ID: MEDIA_NODE_ID,
  PLENARY_DATACENTER: DATACENTER_ID,
  /** Where the control link, /health, /ready and /metrics listen. */
  PLENARY_HOST: z.string().min(1).default('0.0.0.0'),
  PLENARY_PORT: portSetting,
  /** As edges and other nodes reach the control link; default `http://ANNOUNCED_ADDRESS:PORT`. */
  PLENARY_CONTROL_URL: z
    .url({ protocol: /^https?$/ })
    .max(512)
    .optional(),
  /** Where RTP is bound. */
  PLENARY_LISTEN_IP: ipSetting.default('0.0.0.0'),
  /** As clients and other nodes reach the RTP ports; default PLENARY_LISTEN_IP where that names one interface. */
  PLENARY_ANNOUNCED_ADDRESS: addressSetting.optional(),
  PLENARY_PORT_SLICE: sliceSetting,
  PLENARY_WORKERS: integerSetting(1, 256).optional(),
  PLENARY_MAX_PEERS: integerSetting(1, 100_000).default(1_000),
  /** What the node may send; default: the speed of its interface, or 1000 where the system does not know it. */
  PLENARY_MAX_OUTGOING_MBIT: integerSetting(1, 10_000_000).optional(),
  /** Packets that the node may send and receive in a second; default: what its workers can forward. */
  PLENARY_MAX_PACKETS_PER_SECOND: integerSetting(1, 1_000_000_000).optional(),
  PLENARY_PIPE_LINGER_MS: integerSetting(0, 600_000).default(5_000),
  PLENARY_ORPHAN_GRACE_MS: integerSetting(0, 600_000).default(30_000),
  PLENARY_LEASE_MS: integerSetting(500, 120_000).default(5_000),
  ...STORE_SETTINGS,
  CONSUL_HTTP_ADDR: consulAddressSetting.optional(),
  CONSUL_HTTP_TOKEN: consulTokenSetting.optional(),
  PLENARY_CLUSTER_SECRET: secretSetting,
  MEDIASOUP_WORKER_BIN: z.string().min(1).optional(),
  PLENARY_LOG_LEVEL: logLevelSetting,
});

/** The configuration of a media node, with all defaults in place. */
export interface MediaNodeConfig {
  readonly mediaNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly host: string;
  readonly port: number;
  readonly controlUrl: string;
  readonly listenIp: string;
  readonly announcedAddress: string;
  readonly portSlice: PortSlice;
  readonly workers: number;
  readonly maxPeers: number;
  /** In Mbit/s; `undefined`: what its interface carries. */
  readonly maxOutgoingMbit: number | undefined;
  readonly maxPacketsPerSecond: number;
  readonly pipeLingerMs: number;
  readonly orphanGraceMs: number;
  readonly leaseMs: number;
  readonly storeAddress: StoreAddress;
  /** `undefined`: the registry is in Redis. */
  readonly consul: ConsulSettings | undefined;
  readonly clusterSecret: string;
  readonly workerBin: string | undefined;
  readonly logLevel: string;
  /** Exit when standard input ends: the parent is gone. */
  readonly parentPipe: boolean;
}

/** @throws ConfigError with every fault */
export function loadConfig(environment: Environment): MediaNodeConfig {
  // Faults between settings are looked for whether or not single settings are faulty, so that all are told at once.
  const crossFaults = [
    ...announcedFaults(environment),
    ...sliceFaults(environment),
    ...storeFaults(environment),
  ];
  let parsed: z.output<typeof CONFIG_SCHEMA>;
  try {
    parsed = parseConfig(CONFIG_SCHEMA, environment, ['PLENARY_PARENT_PIPE']);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError([...error.faults, ...crossFaults]);
    throw error;
  }
  if (crossFaults.length > 0) throw new ConfigError(crossFaults);
  const workers = parsed.PLENARY_WORKERS ?? availableParallelism();
  const announcedAddress = parsed.PLENARY_ANNOUNCED_ADDRESS ?? parsed.PLENARY_LISTEN_IP;
  return Object.freeze({
    mediaNodeId: parsed.PLENARY_ID,
    datacenter: parsed.PLENARY_DATACENTER,
    host: parsed.PLENARY_HOST,
    port: parsed.PLENARY_PORT,
    controlUrl: parsed.PLENARY_CONTROL_URL ?? `http://${inUrl(announcedAddress)}:${parsed.PLENARY_PORT}`,
    listenIp: parsed.PLENARY_LISTEN_IP,
    announcedAddress,
    portSlice: parsed.PLENARY_PORT_SLICE,
    workers,
    maxPeers: parsed.PLENARY_MAX_PEERS,
    maxOutgoingMbit: parsed.PLENARY_MAX_OUTGOING_MBIT,
    maxPacketsPerSecond: parsed.PLENARY_MAX_PACKETS_PER_SECOND ?? workers * PACKETS_PER_WORKER,
    pipeLingerMs: parsed.PLENARY_PIPE_LINGER_MS,
    orphanGraceMs: parsed.PLENARY_ORPHAN_GRACE_MS,
    leaseMs: parsed.PLENARY_LEASE_MS,
    storeAddress: storeAddressOf(parsed),
    consul: consulSettings(parsed.CONSUL_HTTP_ADDR, parsed.CONSUL_HTTP_TOKEN),
    clusterSecret: parsed.PLENARY_CLUSTER_SECRET,
    workerBin: parsed.MEDIASOUP_WORKER_BIN,
    logLevel: parsed.PLENARY_LOG_LEVEL,
    parentPipe: environment['PLENARY_PARENT_PIPE'] === '1',
  });
}

/** Whether an address stands for every interface, so that no client could use it. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || /^[0:]+$/.test(address);
}

const inUrl = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address);

function announcedFaults(environment: Environment): string[] {
  const announced = environment['PLENARY_ANNOUNCED_ADDRESS'];
  const listenIp = environment['PLENARY_LISTEN_IP'] ?? '0.0.0.0';
  if (announced === undefined || announced === '') {
    return isUnspecified(listenIp)
      ? ['PLENARY_ANNOUNCED_ADDRESS: is required while PLENARY_LISTEN_IP is every interface']
      : [];
  }
  return isUnspecified(announced)
    ? ['PLENARY_ANNOUNCED_ADDRESS: clients cannot reach an unspecified address']
    : [];
}

function sliceFaults(environment: Environment): string[] {
  const slice = sliceSetting.safeParse(environment['PLENARY_PORT_SLICE']);
  const workers = Number(environment['PLENARY_WORKERS'] ?? availableParallelism());
  if (!slice.success || !Number.isInteger(workers) || workers < 1) return [];
  const plan = planPorts(slice.data, workers);
  return 'fault' in plan ? [`PLENARY_PORT_SLICE: ${plan.fault}`] : [];
}
