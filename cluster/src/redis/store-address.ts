/** Which store a process uses, as an operator says it: one Redis, a primary found by Sentinels, or a Redis Cluster. */
import { z } from 'zod';
import { isPlaceholder } from '../keys/derive.ts';
import { DEFAULT_NAMESPACE, NAMESPACE } from '../namespace.ts';
import { ConfigError, switchSetting } from '../process/config.ts';
import type { Environment } from '../process/config.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** How to log in; for one Redis its URL says it. */
interface Access {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
  readonly natMap?: NatMap;
}

/** How this process reaches what Sentinels or cluster nodes name by another address, by `host:port` as they name it. */
export type NatMap = Readonly<Record<string, HostPort>>;

export type StoreAddress =
  | { readonly kind: 'single'; readonly url: string }
  | (Access & {
      readonly kind: 'sentinel';
      readonly sentinels: readonly HostPort[];
      /** What the Sentinels call the primary. */
      readonly name: string;
      readonly sentinelUsername: string | undefined;
      readonly sentinelPassword: string | undefined;
    })
  | (Access & {
      readonly kind: 'cluster';
      /** Some of its nodes; the others are learnt from them. */
      readonly nodes: readonly HostPort[];
    });

const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/;
const MAX_HOSTS = 64;

function hostPortOf(item: string): HostPort | undefined {
  const [, ipv6, name, port] = HOST_PORT.exec(item) ?? [];
  const host = ipv6 ?? name;
  const isPort = Number(port) >= 1 && Number(port) <= 65_535;
  return host !== undefined && isPort ? { host, port: Number(port) } : undefined;
}

const hostsSetting = z.string().transform((text, context): readonly HostPort[] => {
  const items = text.split(',').map((item) => item.trim());
  if (items.length > MAX_HOSTS) context.addIssue(`names more than ${MAX_HOSTS} addresses`);
  return items.flatMap((item) => {
    const found = hostPortOf(item);
    if (found !== undefined) return [found];
    // Not repeated in full: who mistakes this for a URL may have put a password in.
    context.addIssue(
      'must be host:port joined by commas, such as 10.1.0.31:6379,10.2.0.31:6379 (Sentinels have port 26379); user and password have settings of their own',
    );
    return [];
  });
});
const natMapSetting = z.string().transform((text, context): NatMap => {
  const pairs = text.split(',').map((pair) => pair.trim().split('='));
  const entries = pairs.flatMap(([named = '', reached = '', ...rest]): [string, HostPort][] => {
    const [from, to] = [hostPortOf(named), hostPortOf(reached)];
    if (from !== undefined && to !== undefined && rest.length === 0)
      return [[`${from.host}:${from.port}`, to]];
    context.addIssue('must be pairs such as 10.1.0.31:6379=203.0.113.31:6379, what is named first');
    return [];
  });
  if (entries.length > MAX_HOSTS) context.addIssue(`names more than ${MAX_HOSTS} addresses`);
  return Object.fromEntries(entries);
});
const nameSetting = z.string().min(1).max(256);
const A_PLACEHOLDER = 'has a placeholder for its password: take a random one, in the users of Redis as well';
const passwordSetting = z
  .string()
  .min(1)
  .max(1_024)
  .refine((password) => !isPlaceholder(password), A_PLACEHOLDER);

/**
 * The URL of one Redis: what it cannot mean here is refused, since the client would take it for something else, such as the
 * path of a socket for a database of the Redis on this machine. Nothing of it is repeated, since it may hold a password.
 */
const redisUrlSetting = z.string().transform((text, context): string => {
  const url = /^rediss?:\/\//i.test(text) ? URL.parse(text) : null;
  if (url === null) {
    context.addIssue(
      'must be a redis or rediss URL (in a password, what is no letter or digit must be written as %XX)',
    );
    return z.NEVER;
  }
  if (url.hostname === '') context.addIssue('names no host; sockets of the file system are not supported');
  else if (!/^\/?$|^\/\d{1,5}$/.test(url.pathname)) {
    context.addIssue('may end with the number of a database, such as /0, and nothing else');
  } else if (url.search !== '' || url.hash !== '') {
    context.addIssue('takes nothing behind ? or #; in a password, those must be written as %3F and %23');
  } else if (!isDecodable(url.username) || !isDecodable(url.password)) {
    context.addIssue('has a % in its user or password that is not written as %25');
  } else if (isPlaceholder(decodeURIComponent(url.password))) context.addIssue(A_PLACEHOLDER);
  return text;
});

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The settings of the store, by the names of their environment variables: the same for edges and media nodes. */
export const STORE_SETTINGS = {
  REDIS_URL: redisUrlSetting.optional(),
  PLENARY_REDIS_SENTINELS: hostsSetting.optional(),
  PLENARY_REDIS_SENTINEL_NAME: nameSetting.optional(),
  PLENARY_REDIS_SENTINEL_USERNAME: nameSetting.optional(),
  PLENARY_REDIS_SENTINEL_PASSWORD: passwordSetting.optional(),
  PLENARY_REDIS_CLUSTER: hostsSetting.optional(),
  PLENARY_REDIS_USERNAME: nameSetting.optional(),
  PLENARY_REDIS_PASSWORD: passwordSetting.optional(),
  PLENARY_REDIS_TLS: switchSetting.default(false),
  /** Where Sentinels or cluster nodes name addresses that are others from here. */
  PLENARY_REDIS_NAT_MAP: natMapSetting.optional(),
  /** The same for all processes of a cluster, and another for each cluster on one Redis. */
  PLENARY_NAMESPACE: NAMESPACE.default(DEFAULT_NAMESPACE),
};
type StoreSettings = z.output<z.ZodObject<typeof STORE_SETTINGS>>;

const KINDS = ['REDIS_URL', 'PLENARY_REDIS_SENTINELS', 'PLENARY_REDIS_CLUSTER'] as const;
const OF_SENTINEL = [
  'PLENARY_REDIS_SENTINEL_NAME',
  'PLENARY_REDIS_SENTINEL_USERNAME',
  'PLENARY_REDIS_SENTINEL_PASSWORD',
] as const;
const OF_ACCESS = ['PLENARY_REDIS_USERNAME', 'PLENARY_REDIS_PASSWORD', 'PLENARY_REDIS_TLS'] as const;

/**
 * What is wrong between the store's settings, looked for apart from the single ones so that all is told at once.
 * @param given - the text of each setting that is given
 */
export function storeFaults(given: Environment): string[] {
  const isGiven = (name: string): boolean => given[name] !== undefined;
  const [kind, ...others] = KINDS.filter(isGiven);
  if (kind === undefined)
    return [
      'REDIS_URL: is required, unless PLENARY_REDIS_SENTINELS or PLENARY_REDIS_CLUSTER names another kind of store',
    ];
  const faults = others.map((other) => `${other}: names another store than ${kind}; give one of them`);
  if (others.length > 0) return faults;
  if (kind === 'REDIS_URL')
    faults.push(...OF_ACCESS.filter(isGiven).map((name) => `${name}: belongs into REDIS_URL`));
  if (kind !== 'PLENARY_REDIS_SENTINELS')
    faults.push(
      ...OF_SENTINEL.filter(isGiven).map((name) => `${name}: has no meaning without PLENARY_REDIS_SENTINELS`),
    );
  else if (!isGiven('PLENARY_REDIS_SENTINEL_NAME'))
    faults.push('PLENARY_REDIS_SENTINEL_NAME: is required with PLENARY_REDIS_SENTINELS');
  if (kind === 'REDIS_URL' && isGiven('PLENARY_REDIS_NAT_MAP'))
    faults.push(
      'PLENARY_REDIS_NAT_MAP: has no meaning with REDIS_URL, which nobody names another address for',
    );
  for (const user of ['PLENARY_REDIS', 'PLENARY_REDIS_SENTINEL']) {
    if (isGiven(`${user}_USERNAME`) && !isGiven(`${user}_PASSWORD`))
      faults.push(`${user}_USERNAME: needs ${user}_PASSWORD`);
  }
  return faults;
}

/** The store that parsed settings name. @throws ConfigError when they name none, which `storeFaults` tells before */
export function storeAddressOf(settings: StoreSettings): StoreAddress {
  const access: Access = {
    username: settings.PLENARY_REDIS_USERNAME,
    password: settings.PLENARY_REDIS_PASSWORD,
    tls: settings.PLENARY_REDIS_TLS,
    ...(settings.PLENARY_REDIS_NAT_MAP === undefined ? {} : { natMap: settings.PLENARY_REDIS_NAT_MAP }),
  };
  const sentinels = settings.PLENARY_REDIS_SENTINELS;
  const name = settings.PLENARY_REDIS_SENTINEL_NAME;
  const nodes = settings.PLENARY_REDIS_CLUSTER;
  if (settings.REDIS_URL !== undefined) return { kind: 'single', url: settings.REDIS_URL };
  if (nodes !== undefined) return { kind: 'cluster', nodes, ...access };
  if (sentinels === undefined || name === undefined) throw new ConfigError(storeFaults({}));
  return {
    kind: 'sentinel',
    sentinels,
    name,
    sentinelUsername: settings.PLENARY_REDIS_SENTINEL_USERNAME,
    sentinelPassword: settings.PLENARY_REDIS_SENTINEL_PASSWORD,
    ...access,
  };
}
