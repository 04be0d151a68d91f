import { LocalClusterError } from './errors.ts';

/** A datacenter of this machine and how many media nodes it has room for. */
export interface DatacenterSize {
  /** 1 to 12 letters, digits and `-`. */
  readonly name: string;
  /** 1 to 30. */
  readonly mediaNodes: number;
}

export interface MediaNodePlace {
  readonly datacenter: string;
  readonly namespace: string;
  /** For control and health; reached from everywhere, past the links between datacenters. */
  readonly controlAddress: string;
  /** For media alone: between datacenters it is reached over the link of the two, and by no other way. */
  readonly mediaAddress: string;
}

export interface DatacenterPlan {
  /** This machine as the datacenters see it: for Redis, edges and clients. */
  readonly hostAddress: string;
  /** Datacenter by datacenter, in the order of the sizes. */
  readonly mediaNodes: readonly MediaNodePlace[];
  /** By the datacenter's name. */
  readonly namespaces: ReadonlyMap<string, string>;
  /** Lines for `ip -batch`, outside of the namespaces. */
  readonly hostCommands: readonly string[];
  /** Lines for `ip -batch` in each namespace, once the host's are done. */
  readonly namespaceCommands: ReadonlyMap<string, readonly string[]>;
}

/** Sets of datacenters that fit beside each other on a machine. */
export const BLOCKS = 64;
const MAX_DATACENTERS = 7;
const MAX_MEDIA_NODES = 30;
const SUBNET_SIZE = 32;
const PREFIX = 27;

/** Everything of a block, namespaces and interfaces of the host, is named by this or begins with it and `-`. */
export function blockName(block: number): string {
  return `plenary${block}`;
}

/** The interface of a datacenter's namespace that leads to another datacenter, and nowhere else. */
export function linkTo(datacenter: string): string {
  return `to-${datacenter}`;
}

/**
 * Plans datacenters as network namespaces. A bridge joins all of them with the host: that is the way of clients, control
 * links and Redis. Beside it each two of them have a cable of their own, over which routes lead to the other's media
 * addresses, so that the kernel counts on it what media nodes of the two send each other and nothing else. Addresses are
 * of 198.18.0.0/15, which is set aside for such tests (RFC 2544).
 * @param block - 0 to 63; two sets of datacenters at a time must not have the same
 * @throws LocalClusterError when there are too many, or a name does not fit
 */
export function planDatacenters(block: number, sizes: readonly DatacenterSize[]): DatacenterPlan {
  check(sizes);
  const bridge = blockName(block);
  const address = (subnet: number, host: number): string => `198.18.${block}.${subnet * SUBNET_SIZE + host}`;
  const sites = sizes.map(({ name, mediaNodes }, index) => ({
    name,
    namespace: `${bridge}-${name}`,
    hostEnd: `${bridge}-${index + 1}`,
    controlAddress: address(0, index + 2),
    mediaSubnet: `${address(index + 1, 0)}/${PREFIX}`,
    mediaAddresses: Array.from({ length: mediaNodes }, (_, node) => address(index + 1, node + 1)),
    /** Of its end of the cable to the datacenter of that index. */
    hardwareAddress: (to: number): string => `02:00:00:00:${hexadecimal(index + 1)}:${hexadecimal(to + 1)}`,
  }));
  const hostAddress = address(0, 1);
  const hostCommands = [
    `link add ${bridge} type bridge`,
    `address add ${hostAddress}/${PREFIX} dev ${bridge}`,
    `link set ${bridge} up`,
    ...sites.flatMap((site) => [
      `netns add ${site.namespace}`,
      `link add ${site.hostEnd} type veth peer name host netns ${site.namespace}`,
      `link set ${site.hostEnd} master ${bridge} up`,
      `route add ${site.mediaSubnet} via ${site.controlAddress}`,
    ]),
    ...sites.flatMap((site, from) =>
      sites.slice(from + 1).map((other, offset) => {
        const to = from + 1 + offset;
        return [
          `link add ${linkTo(other.name)} netns ${site.namespace} address ${site.hardwareAddress(to)} type veth`,
          `peer name ${linkTo(site.name)} netns ${other.namespace} address ${other.hardwareAddress(from)}`,
        ].join(' ');
      }),
    ),
  ];
  const namespaceCommands = sites.map((site, from): [string, string[]] => [
    site.namespace,
    [
      'link set lo up',
      `address add ${site.controlAddress}/${PREFIX} dev host`,
      'link set host up',
      ...site.mediaAddresses.map((mediaAddress) => `address add ${mediaAddress}/32 dev lo`),
      ...sites.flatMap((other, to) => {
        if (other === site) return [];
        const device = linkTo(other.name);
        const [nextHop = ''] = other.mediaAddresses;
        return [
          `link set ${device} up`,
          // Known from the start, so that no ARP packet is ever counted.
          `neigh replace ${nextHop} lladdr ${other.hardwareAddress(from)} dev ${device} nud permanent`,
          `route add ${other.mediaSubnet} via ${nextHop} dev ${device} onlink`,
        ];
      }),
    ],
  ]);
  return {
    hostAddress,
    mediaNodes: sites.flatMap(({ name, namespace, controlAddress, mediaAddresses }) =>
      mediaAddresses.map((mediaAddress) => ({ datacenter: name, namespace, controlAddress, mediaAddress })),
    ),
    namespaces: new Map(sites.map(({ name, namespace }) => [name, namespace])),
    hostCommands,
    namespaceCommands: new Map(namespaceCommands),
  };
}

function check(sizes: readonly DatacenterSize[]): void {
  if (sizes.length > MAX_DATACENTERS)
    throw new LocalClusterError(
      `A machine has room for ${MAX_DATACENTERS} datacenters, not ${sizes.length}.`,
    );
  for (const { name, mediaNodes } of sizes) {
    // An interface of Linux has a name of 15 characters at most.
    if (!/^[A-Za-z0-9-]{1,12}$/.test(name))
      throw new LocalClusterError(
        `A datacenter's name is of 1 to 12 letters, digits and "-" here, not "${name}".`,
      );
    if (!Number.isInteger(mediaNodes) || mediaNodes < 1 || mediaNodes > MAX_MEDIA_NODES)
      throw new LocalClusterError(
        `A datacenter has 1 to ${MAX_MEDIA_NODES} media nodes here, not ${mediaNodes}.`,
      );
  }
  if (new Set(sizes.map(({ name }) => name)).size < sizes.length)
    throw new LocalClusterError('Two datacenters have the same name.');
}

function hexadecimal(value: number): string {
  return value.toString(16).padStart(2, '0');
}
