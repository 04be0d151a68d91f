import { accessSync, constants, statSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import {
  beyondOrigin,
  ConfigError,
  consulAddressSetting,
  consulSettings,
  consulTokenSetting,
  hostFault,
  hostSetting,
  integerSetting,
  logLevelSetting,
  MAX_DRAIN_MS,
  OPERATOR_SETTINGS,
  operatorConfigOf,
  operatorFaults,
  parseConfig,
  portSetting,
  secretsIn,
  secretsSetting,
  shownEntry,
  STORE_SETTINGS,
  storeAddressOf,
  storeFaults,
  switchSetting,
  weakSecrets,
} from '@plenary/cluster';
import type {
  ApiKeys,
  OperatorConfig,
  ConsulSettings,
  Environment,
  Namespace,
  Secrets,
  StoreAddress,
  TenantLimits,
} from '@plenary/cluster';
import { DATACENTER_ID, EDGE_ID, TENANT_ID } from '@plenary/cluster/ids';
import type { TenantId } from '@plenary/cluster/ids';
import { z } from 'zod';
import { apiKeysSetting, joinKeysSetting, keyFaults } from './entry/tokens/key-settings.ts';
import { normalise } from './http/client-address.ts';
import type { KeySetAddresses } from './entry/tokens/key-settings.ts';
import { parseRoomPatterns } from './entry/tokens/guest-rooms.ts';
import type { GuestRooms } from './entry/tokens/guest-rooms.ts';
import { RESERVED_FILES, socketsByFileLimit } from './limits/file-limit.ts';
import type { TenantLimitTable } from './entry/tenant-claims.ts';

/** An edge answers at `/` of its host: page, socket and API know no path before theirs. */
const publicUrlSetting = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(512)
  .transform((text, context) => {
    const { origin } = new URL(text);
    const beyond = beyondOrigin(text);
    const fault = hostFault(text);
    if (fault !== undefined) context.addIssue(fault);
    if (beyond !== undefined) {
      context.addIssue(
        `has ${beyond}: an edge needs a host (or port) of its own and serves everything at its root, such as ${origin}`,
      );
    }
    return origin;
  });

const ORIGIN = z.url({ protocol: /^https?$/ }).transform((text) => new URL(text).origin);

/** `*`, or origins joined by commas. Absent: see `http/origins.ts`. */
const originsSetting = z.string().transform((text, context): '*' | ReadonlySet<string> => {
  if (text.trim() === '*') return '*';
  const origins = new Set<string>();
  for (const [index, item] of text.split(',').entries()) {
    const parsed = ORIGIN.safeParse(item.trim());
    const beyond = parsed.success ? beyondOrigin(item.trim()) : undefined;
    if (parsed.success && parsed.data.includes('*'))
      context.addIssue(`${parsed.data} has a *, which stands for nothing there: name each site`);
    else if (parsed.success && beyond === undefined) origins.add(parsed.data);
    else if (parsed.success)
      context.addIssue(`an origin of ${parsed.data} has ${beyond}, which no origin has`);
    else
      context.addIssue(`${shownEntry(item.trim(), index)} is not an origin such as https://meet.example.org`);
  }
  return origins;
});

const embedOriginsSetting = originsSetting.transform((origins, context): readonly string[] => {
  if (origins !== '*') return [...origins];
  context.addIssue('must name each site: any site could show the page in a frame, and press its buttons');
  return z.NEVER;
});

/** A network in CIDR notation. */
export interface Network {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: 'ipv4' | 'ipv6';
}

const proxiesSetting = z.string().transform((text, context): readonly Network[] => {
  if (text.trim() === 'off') return [];
  return text.split(',').flatMap((item, index) => {
    const network = parseNetwork(item.trim());
    if (network === undefined) {
      context.addIssue(`${shownEntry(item.trim(), index)} is not a network such as 10.0.0.0/8`);
      return [];
    }
    return [network];
  });
});

const PRIVATE_NETWORKS: readonly Network[] = [
  { address: '10.0.0.0', prefixLength: 8, family: 'ipv4' },
  { address: '127.0.0.0', prefixLength: 8, family: 'ipv4' },
  { address: '100.64.0.0', prefixLength: 10, family: 'ipv4' },
  { address: 'fc00::', prefixLength: 7, family: 'ipv6' },
  { address: 'fe80::', prefixLength: 10, family: 'ipv6' },
];
/** The widest networks that content delivery networks publish for their proxies are /13 and /28. */
const WIDEST_PUBLIC = { ipv4: 12, ipv6: 28 } as const;

/** Whether it is wider than any network of somebody's proxies (SPEC CF11). */
function isWide({ address, prefixLength, family }: Network): boolean {
  if (prefixLength >= WIDEST_PUBLIC[family]) return false;
  return !PRIVATE_NETWORKS.some((network) => {
    const list = new BlockList();
    list.addSubnet(network.address, network.prefixLength, network.family);
    return prefixLength >= network.prefixLength && list.check(address, family);
  });
}

function parseNetwork(text: string): Network | undefined {
  const [address = '', prefix] = text.split('/');
  const family = isIP(address);
  if (family === 0) return undefined;
  const longest = family === 4 ? 32 : 128;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return undefined;
  const prefixLength = prefix === undefined ? longest : Number(prefix);
  if (prefixLength > longest) return undefined;
  // IPv4 that is mapped into IPv6 is compared as IPv4.
  const mapped = normalise(address);
  if (family === 6 && isIP(mapped) === 4 && prefixLength >= 96)
    return { address: mapped, prefixLength: prefixLength - 96, family: 'ipv4' };
  return { address, prefixLength, family: family === 4 ? 'ipv4' : 'ipv6' };
}

const guestRoomsSetting = z.string().transform((text, context) => {
  const isOpen = parseRoomPatterns(text);
  if (isOpen !== undefined) return isOpen;
  context.addIssue('must be room names, in which * stands for any characters, such as lobby,open-*');
  return z.NEVER;
});

/** `KEY=PEOPLE/ROOMS`, with `-` for no limit; `*` stands for all keys that are not named. */
const TENANT_LIMIT = /^(\*|[A-Za-z0-9_-]{1,64})=(-|\d{1,9})\/(-|\d{1,9})$/;

const tenantLimitsSetting = z.string().transform((text, context): TenantLimitTable => {
  const limits = new Map<string, TenantLimits>();
  for (const [index, item] of text.split(',').entries()) {
    const [, key, peers, rooms] = TENANT_LIMIT.exec(item.trim()) ?? [];
    if (key === undefined || peers === undefined || rooms === undefined) {
      context.addIssue(
        `${shownEntry(item.trim(), index)} is not KEY=PEOPLE/ROOMS such as acme=500/20, *=100/- or acme=-/5`,
      );
    } else if (limits.has(key)) context.addIssue(`the key ${key} is given twice`);
    else limits.set(key, { maxPeers: limitOf(peers), maxRooms: limitOf(rooms) });
  }
  const others = limits.get('*') ?? UNLIMITED.others;
  limits.delete('*');
  const byTenant = [...limits].map(([key, own]) => [TENANT_ID.parse(key), own] as const);
  return { byTenant: new Map<TenantId, TenantLimits>(byTenant), others };
});

const NO_KEYS: ApiKeys = new Map<string, never>();
const NO_KEY_SETS: KeySetAddresses = new Map<string, never>();
const UNLIMITED: TenantLimitTable = {
  byTenant: new Map(),
  others: { maxPeers: undefined, maxRooms: undefined },
};
const limitOf = (text: string): number | undefined => (text === '-' ? undefined : Number(text));

const datacentersSetting = z
  .string()
  .transform((text) => text.split(',').map((item) => item.trim()))
  .pipe(z.array(DATACENTER_ID).max(64));

const directorySetting = z.string().transform((path, context) => {
  try {
    if (statSync(path).isDirectory()) {
      accessSync(path, constants.R_OK | constants.X_OK);
      return path;
    }
    context.addIssue('must be a directory that exists');
  } catch (fault) {
    context.addIssue(
      `must be a directory that exists and that this user may read (${(fault as NodeJS.ErrnoException).code ?? 'unknown'})`,
    );
  }
  return z.NEVER;
});

/** The environment variables of an edge. `PLENARY_PARENT_PIPE` is read by `main.ts`. */
export const EDGE_SETTINGS = z.object({
  PLENARY_ID: EDGE_ID,
  PLENARY_DATACENTER: DATACENTER_ID,
  PLENARY_HOST: hostSetting.default('0.0.0.0'),
  PLENARY_PORT: portSetting,
  PLENARY_PUBLIC_URL: publicUrlSetting,
  ...STORE_SETTINGS,
  CONSUL_HTTP_ADDR: consulAddressSetting.optional(),
  CONSUL_HTTP_TOKEN: consulTokenSetting.optional(),
  /** One, or several joined by commas while it is changed: the first one signs, all are believed. */
  PLENARY_CLUSTER_SECRET: secretsSetting,
  PLENARY_API_KEYS: apiKeysSetting.optional(),
  /** Where applications publish the keys of their join tokens. */
  PLENARY_JOIN_KEYS: joinKeysSetting.optional(),
  /** How long after their join token was brought people may come back without another one; 0 for never. */
  PLENARY_REJOIN_MINUTES: integerSetting(0, 10_080).default(1_440),
  /** How often one person may be in a room at a time. */
  PLENARY_PEERS_PER_PERSON: integerSetting(1, 1_000).default(5),
  /** Sites that may show the page in a frame, and give it tokens. */
  PLENARY_EMBED_ORIGINS: embedOriginsSetting.default([]),
  PLENARY_GUESTS: switchSetting.default(false),
  /** Whose rooms guests go to: an API key. It need not be said where there is only one. */
  PLENARY_GUEST_TENANT: TENANT_ID.optional(),
  /** Which of them. */
  PLENARY_GUEST_ROOMS: guestRoomsSetting.optional(),
  PLENARY_WEB_ROOT: directorySetting.optional(),
  PLENARY_LOG_LEVEL: logLevelSetting,
  PLENARY_ALLOWED_ORIGINS: originsSetting.optional(),
  PLENARY_TRUSTED_PROXIES: proxiesSetting.default([]),
  PLENARY_MAX_PEERS_PER_ROOM: integerSetting(1, 100_000).default(1_000),
  PLENARY_PACKING_LIMIT: integerSetting(0, 100_000).default(50),
  /** With so many people of one room a media node is passed over for it, while another can take them. */
  PLENARY_ROOM_PEERS_PER_NODE: integerSetting(1, 100_000).default(200),
  /** With so many joins within five seconds a media node is passed over, while another can take them. */
  PLENARY_JOINS_PER_NODE: integerSetting(1, 100_000).default(100),
  PLENARY_DATACENTER_ORDER: datacentersSetting.optional(),
  PLENARY_TENANT_LIMITS: tenantLimitsSetting.optional(),
  PLENARY_RESUME_WITHIN_MS: integerSetting(0, 600_000).default(15_000),
  PLENARY_LEASE_MS: integerSetting(500, 60_000).default(5_000),
  /** How long SIGTERM takes to send clients to other edges before the edge stops; 0 for all at once. */
  PLENARY_DRAIN_MS: integerSetting(0, MAX_DRAIN_MS).default(20_000),
  ...OPERATOR_SETTINGS,
  /** `node`: Node's own HTTP server, slower, for proxies and health checks that speak HTTP/1.0. */
  PLENARY_HTTP_SERVER: z.enum(['uws', 'node']).default('uws'),
  /** Sockets of all clients at a time; as the file limit allows where it is not given. */
  PLENARY_MAX_SOCKETS: integerSetting(1, 10_000_000).optional(),
  /** Sockets of one client address at a time; an office behind one address must fit. */
  PLENARY_SOCKETS_PER_ADDRESS: integerSetting(1, 1_000_000).default(2_000),
  /** New sockets of one client address in a second, over a burst of ten times as many. */
  PLENARY_CONNECTS_PER_ADDRESS: integerSetting(1, 1_000_000).default(100),
});

export interface EdgeConfig {
  /** What works and leaves the cluster open, as `NAME: what, and what to do`; said once, at the start. */
  readonly weaknesses: readonly string[];
  readonly edgeId: z.infer<typeof EDGE_ID>;
  readonly datacenter: z.infer<typeof DATACENTER_ID>;
  readonly host: string;
  readonly port: number;
  /** The origin under which clients reach this edge. */
  readonly publicUrl: string;
  readonly storeAddress: StoreAddress;
  /** `undefined`: the registry is in Redis. */
  readonly consul: ConsulSettings | undefined;
  readonly namespace: Namespace;
  /** Of this namespace. */
  readonly clusterSecrets: Secrets;
  readonly apiKeys: ApiKeys;
  readonly keySets: KeySetAddresses;
  readonly rejoinWithinSeconds: number;
  readonly peersPerPerson: number;
  readonly embedOrigins: readonly string[];
  /** `undefined`: nobody comes without a token of an application. */
  readonly guests: GuestRooms | undefined;
  readonly webRoot: string | undefined;
  readonly logLevel: string;
  /** `undefined`: the origins of this cluster, and loopback if this edge is on it. */
  readonly allowedOrigins: '*' | ReadonlySet<string> | undefined;
  readonly trustedProxies: readonly Network[];
  readonly maxPeersPerRoom: number;
  readonly packingLimit: number;
  readonly roomPeersPerNode: number;
  readonly joinsPerNode: number;
  /** Where media is sought when neither token nor client say more, after this edge's own datacenter. */
  readonly datacenterOrder: readonly z.infer<typeof DATACENTER_ID>[];
  readonly tenantLimits: TenantLimitTable;
  readonly resumeWithinMs: number;
  readonly leaseMs: number;
  readonly drainMs: number;
  readonly operators: OperatorConfig;
  readonly httpServer: 'uws' | 'node';
  readonly maxSockets: number;
  readonly socketsPerAddress: number;
  readonly connectsPerAddress: number;
}

/** Where guests may go, if anywhere. Nobody is to open rooms to guests by having written one setting of two. */
function guestRoomsOf(
  settings: z.output<typeof EDGE_SETTINGS>,
  onFault: (fault: string) => void,
): GuestRooms | undefined {
  const { PLENARY_GUEST_TENANT: named, PLENARY_GUEST_ROOMS: isOpen = () => true } = settings;
  const { PLENARY_API_KEYS: apiKeys = NO_KEYS } = settings;
  if (!settings.PLENARY_GUESTS) {
    for (const name of ['PLENARY_GUEST_TENANT', 'PLENARY_GUEST_ROOMS'] as const)
      if (settings[name] !== undefined) onFault(`${name}: has no meaning without PLENARY_GUESTS=on`);
    return undefined;
  }
  const [first = '', ...others] = apiKeys.keys();
  if (named === undefined && others.length > 0) {
    onFault('PLENARY_GUEST_TENANT: must say whose rooms guests go to, where there are several API keys');
    return undefined;
  }
  if (apiKeys.size === 0) {
    onFault(
      'PLENARY_GUESTS: needs a secret in PLENARY_API_KEYS, by which the edges sign the tokens of guests',
    );
    return undefined;
  }
  const key = named ?? first;
  if (!apiKeys.has(key)) onFault(`PLENARY_GUEST_TENANT: ${key} is not one of PLENARY_API_KEYS`);
  return { tenantId: TENANT_ID.parse(key), isOpen };
}

/** What works and leaves the cluster open, as `NAME: what, and what to do` (SPEC CF11, CF12). */
function weaknessesOf(settings: z.output<typeof EDGE_SETTINGS>): readonly string[] {
  const { PLENARY_API_KEYS: apiKeys = NO_KEYS, PLENARY_ADMIN_TOKEN: ofOperators = [] } = settings;
  return [
    ...settings.PLENARY_TRUSTED_PROXIES.filter(isWide).map(
      ({ address, prefixLength }) =>
        `PLENARY_TRUSTED_PROXIES: ${address}/${prefixLength} holds hosts of strangers, each of whom can say that it is any client; name the addresses of your proxies, such as 10.1.0.5, or their network, such as 10.1.0.0/24`,
    ),
    ...weakSecrets([
      ['PLENARY_CLUSTER_SECRET', settings.PLENARY_CLUSTER_SECRET],
      ['PLENARY_ADMIN_TOKEN', ofOperators],
      ...[...apiKeys].map(([key, secrets]) => [`PLENARY_API_KEYS (${key})`, secrets] as const),
    ]),
  ];
}

/** @throws ConfigError with every fault at once */
export function readEdgeConfig(
  environment: Environment,
  socketsAllowed: number = socketsByFileLimit(),
): EdgeConfig {
  const settings = parseConfig(EDGE_SETTINGS, environment, ['PLENARY_PARENT_PIPE'], (given) => [
    ...storeFaults(given),
    ...keyFaults(given),
  ]);
  const { PLENARY_API_KEYS: apiKeys = NO_KEYS, PLENARY_JOIN_KEYS: keySets = NO_KEY_SETS } = settings;
  const faults = operatorFaults(settings, 'edge');
  // A limit on a key that there is not is a misspelt one, and would let the tenant that it was meant for go unlimited.
  const unknown = [...(settings.PLENARY_TENANT_LIMITS ?? UNLIMITED).byTenant.keys()].filter(
    (key) => !apiKeys.has(key) && !keySets.has(key),
  );
  faults.push(
    ...unknown.map(
      (key) => `PLENARY_TENANT_LIMITS: ${key} is not one of PLENARY_API_KEYS or PLENARY_JOIN_KEYS`,
    ),
  );
  // Elsewhere the limit is only guessed at.
  if (process.platform === 'linux' && (settings.PLENARY_MAX_SOCKETS ?? 0) > socketsAllowed) {
    faults.push(
      `PLENARY_MAX_SOCKETS: the file limit of this process allows ${socketsAllowed} sockets; raise it to ${(settings.PLENARY_MAX_SOCKETS ?? 0) + RESERVED_FILES} (ulimit -n, LimitNOFILE=, --ulimit nofile=) or ask for fewer`,
    );
  }
  const guests = guestRoomsOf(settings, (fault) => faults.push(fault));
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze({
    weaknesses: weaknessesOf(settings),
    edgeId: settings.PLENARY_ID,
    datacenter: settings.PLENARY_DATACENTER,
    host: settings.PLENARY_HOST,
    port: settings.PLENARY_PORT,
    publicUrl: settings.PLENARY_PUBLIC_URL,
    storeAddress: storeAddressOf(settings),
    consul: consulSettings(settings.CONSUL_HTTP_ADDR, settings.CONSUL_HTTP_TOKEN),
    namespace: settings.PLENARY_NAMESPACE,
    clusterSecrets: secretsIn(settings.PLENARY_NAMESPACE, settings.PLENARY_CLUSTER_SECRET),
    apiKeys,
    keySets,
    rejoinWithinSeconds: settings.PLENARY_REJOIN_MINUTES * 60,
    peersPerPerson: settings.PLENARY_PEERS_PER_PERSON,
    embedOrigins: settings.PLENARY_EMBED_ORIGINS,
    guests,
    webRoot: settings.PLENARY_WEB_ROOT,
    logLevel: settings.PLENARY_LOG_LEVEL,
    allowedOrigins: settings.PLENARY_ALLOWED_ORIGINS,
    trustedProxies: settings.PLENARY_TRUSTED_PROXIES,
    maxPeersPerRoom: settings.PLENARY_MAX_PEERS_PER_ROOM,
    packingLimit: settings.PLENARY_PACKING_LIMIT,
    roomPeersPerNode: settings.PLENARY_ROOM_PEERS_PER_NODE,
    joinsPerNode: settings.PLENARY_JOINS_PER_NODE,
    datacenterOrder: settings.PLENARY_DATACENTER_ORDER ?? [],
    tenantLimits: settings.PLENARY_TENANT_LIMITS ?? UNLIMITED,
    resumeWithinMs: settings.PLENARY_RESUME_WITHIN_MS,
    leaseMs: settings.PLENARY_LEASE_MS,
    drainMs: settings.PLENARY_DRAIN_MS,
    operators: operatorConfigOf(settings),
    httpServer: settings.PLENARY_HTTP_SERVER,
    maxSockets: settings.PLENARY_MAX_SOCKETS ?? socketsAllowed,
    socketsPerAddress: settings.PLENARY_SOCKETS_PER_ADDRESS,
    connectsPerAddress: settings.PLENARY_CONNECTS_PER_ADDRESS,
  });
}
