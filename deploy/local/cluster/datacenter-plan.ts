import { LocalClusterError } from './errors.ts';

/** A datacenter of this machine, or a single host of one, and how many media nodes it has room for. */
export interface DatacenterSize {
  /** 1 to 12 letters, digits and `-`. */
  readonly name: string;
  /** 0 to 30. */
  readonly mediaNodes: number;
}

/** How a datacenter hangs on the others. Each of its cables comes back as it was by the lines of `mend`. */
export interface Cabling {
  readonly namespace: string;
  readonly controlAddress: string;
  /** Lines for `ip -batch` outside of the namespaces. */
  readonly cutOnHost: readonly string[];
  readonly mendOnHost: readonly string[];
  /** Lines for `ip -batch` in the namespace. */
  readonly cut: readonly string[];
  readonly mend: readonly string[];
  /** Whom it may be kept from answering: what is sent to these addresses and networks. */
  readonly towards: Readonly<Record<Direction, readonly string[]>>;
}

/**
 * All other datacenters; only their own addresses, so that it opens no connection to them and answers those that they open,
 * where they are apart; or this machine itself, where clients are.
 */
export type Direction = 'others' | 'outwards' | 'host';

export interface MediaNodePlace {
  readonly datacenter: string;
  readonly namespace: string;
  /** The address for control and health, reached from everywhere, but not over the links between datacenters. */
  readonly controlAddress: string;
  /** The address for media alone; between datacenters only the link between the two leads to it. */
  readonly mediaAddress: string;
}

export interface DatacenterPlan {
  /** This machine as the datacenters see it: for Redis, edges and clients. */
  readonly hostAddress: string;
  /** Another address for this machine, instead of that one, and back; lines for `ip -batch` outside of the namespaces. */
  readonly hostMoves: { readonly there: readonly string[]; readonly back: readonly string[] };
  /** Datacenter by datacenter, in the order of the sizes. */
  readonly mediaNodes: readonly MediaNodePlace[];
  /** By the datacenter's name. */
  readonly cabling: ReadonlyMap<string, Cabling>;
  /** The namespace that all cables between datacenters lead through, if they are apart. */
  readonly between?: string;
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

/** The namespace that connects the cables; no datacenter may have this name. */
const BETWEEN = 'between';

/** The interface of a datacenter's namespace that leads to another datacenter, and nowhere else. */
export function linkTo(datacenter: string): string {
  return `to-${datacenter}`;
}

interface Site {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  readonly namespace: string;
  readonly hostEnd: string;
  readonly controlAddress: string;
  readonly mediaSubnet: string;
  readonly mediaAddresses: readonly string[];
}

/**
 * Plans datacenters as network namespaces. A bridge joins all of them with the host: that is the way of clients, control
 * links and Redis. Beside it each two of them have a cable of their own, over which routes lead to the other's media
 * addresses, so that the kernel counts on it what media nodes of the two send each other and nothing else. Addresses are
 * of 198.18.0.0/15, which is set aside for such tests (RFC 2544).
 * @param block - 0 to 63; two sets of datacenters at a time must not have the same
 * @param apart - no cable leads straight to the other datacenter, and no control link either: all of them end in one more
 *   namespace, which takes every address of the datacenters for its own. Nothing gets across until somebody there listens
 *   at these addresses and sends on, from these addresses
 * @throws LocalClusterError when there are too many, or a name does not fit
 */
export function planDatacenters(
  block: number,
  sizes: readonly DatacenterSize[],
  apart = false,
): DatacenterPlan {
  check(sizes);
  const bridge = blockName(block);
  const address = (subnet: number, host: number): string => `198.18.${block}.${subnet * SUBNET_SIZE + host}`;
  const sites = sizes.map(({ name, mediaNodes }, index): Site => {
    const number = index + 1;
    const mediaAddresses = Array.from({ length: mediaNodes }, (_, node) => address(number, node + 1));
    return {
      number,
      name,
      namespace: `${bridge}-${name}`,
      hostEnd: `${bridge}-${number}`,
      controlAddress: address(0, number + 1),
      mediaSubnet: `${address(number, 0)}/${PREFIX}`,
      mediaAddresses,
    };
  });
  const hostAddress = address(0, 1);
  const home = `${hostAddress}/${PREFIX}`;
  // Of a wider network than the first one: beside one of the same network it would only be another name of it, and go with it.
  const away = `${address(0, SUBNET_SIZE - 3)}/${PREFIX - 1}`;
  const between = {
    namespace: `${bridge}-${BETWEEN}`,
    hostEnd: `${bridge}-0`,
    address: address(0, SUBNET_SIZE - 2),
  };
  const ways = sites.flatMap((from) => sites.filter((to) => to !== from).map((to) => ({ from, to })));
  const hostCommands = [
    `link add ${bridge} type bridge`,
    `address add ${home} dev ${bridge}`,
    `link set ${bridge} up`,
    ...sites.flatMap((site) => [
      ...namespaceOn(bridge, site),
      `route add ${site.mediaSubnet} via ${site.controlAddress}`,
    ]),
    ...(apart
      ? [
          ...namespaceOn(bridge, between),
          ...ways.map(({ from, to }) => cableInto(between.namespace, from, to)),
        ]
      : ways.filter(({ from, to }) => from.number < to.number).map(({ from, to }) => cable(from, to))),
  ];
  const namespaceCommands = sites.map((site): [string, string[]] => [
    site.namespace,
    [
      'link set lo up',
      `address add ${site.controlAddress}/${PREFIX} dev host`,
      'link set host up',
      ...site.mediaAddresses.map((mediaAddress) => `address add ${mediaAddress}/32 dev lo`),
      ...ways
        .filter(({ from }) => from === site)
        .flatMap(({ to }) => [
          ...routeOver(linkTo(to.name), to, hardwareAddress(apart ? 1 : 0, to, site)),
          ...(apart ? [`route add ${to.controlAddress}/32 via ${between.address}`] : []),
        ]),
    ],
  ]);
  if (apart) namespaceCommands.push([between.namespace, commandsBetween(between.address, sites, ways)]);
  return {
    hostAddress,
    hostMoves: {
      there: [`address add ${away} dev ${bridge}`, `address del ${home} dev ${bridge}`],
      back: [`address add ${home} dev ${bridge}`, `address del ${away} dev ${bridge}`],
    },
    mediaNodes: sites.flatMap(({ name, namespace, controlAddress, mediaAddresses }) =>
      mediaAddresses.map((mediaAddress) => ({ datacenter: name, namespace, controlAddress, mediaAddress })),
    ),
    cabling: new Map(
      sites.map((site) => [
        site.name,
        cablingOf(site, ways, apart, { host: hostAddress, between: between.address }),
      ]),
    ),
    ...(apart ? { between: between.namespace } : {}),
    hostCommands,
    namespaceCommands: new Map(namespaceCommands),
  };
}

interface Way {
  readonly from: Site;
  readonly to: Site;
}

function cablingOf(
  site: Site,
  ways: readonly Way[],
  apart: boolean,
  addresses: { readonly host: string; readonly between: string },
): Cabling {
  const outgoing = ways.filter(({ from }) => from === site).map(({ to }) => to);
  const own = outgoing.flatMap((to) => [`${to.controlAddress}/32`, to.mediaSubnet]);
  return {
    namespace: site.namespace,
    controlAddress: site.controlAddress,
    cutOnHost: [`link set ${site.hostEnd} down`],
    mendOnHost: [`link set ${site.hostEnd} up`],
    towards: {
      // Connections of the others come from the namespace between, if they are apart.
      others: [...own, ...(apart ? [`${addresses.between}/32`] : [])],
      outwards: own,
      host: [`${addresses.host}/32`],
    },
    cut: outgoing.map((to) => `link set ${linkTo(to.name)} down`),
    // Linux forgets the routes and neighbours of an interface that is down.
    mend: outgoing.flatMap((to) => routeOver(linkTo(to.name), to, hardwareAddress(apart ? 1 : 0, to, site))),
  };
}

function namespaceOn(bridge: string, of: { readonly namespace: string; readonly hostEnd: string }): string[] {
  return [
    `netns add ${of.namespace}`,
    `link add ${of.hostEnd} type veth peer name host netns ${of.namespace}`,
    `link set ${of.hostEnd} master ${bridge} up`,
  ];
}

function cable(one: Site, other: Site): string {
  return [
    `link add ${linkTo(other.name)} netns ${one.namespace} address ${hardwareAddress(0, one, other)} type veth`,
    `peer name ${linkTo(one.name)} netns ${other.namespace} address ${hardwareAddress(0, other, one)}`,
  ].join(' ');
}

/** The half of the path to another datacenter that ends in the namespace between. */
function cableInto(between: string, from: Site, to: Site): string {
  return [
    `link add ${linkTo(to.name)} netns ${from.namespace} address ${hardwareAddress(0, from, to)} type veth`,
    `peer name ${cableOf(from, to)} netns ${between} address ${hardwareAddress(1, to, from)}`,
  ].join(' ');
}

/** The interface between the datacenters where the cable from the one to the other ends. */
function cableOf(from: Site, to: Site): string {
  return `cable-${from.number}-${to.number}`;
}

/**
 * @param side - 0 for the datacenter's own end of its cable to another one; 1 for the end in between that stands for the
 *   datacenter at the cable from the other one
 */
function hardwareAddress(side: 0 | 1, of: Site, towards: Site): string {
  return `02:00:00:0${side}:${hexadecimal(of.number)}:${hexadecimal(towards.number)}`;
}

function routeOver(device: string, to: Site, farEnd: string, table = ''): string[] {
  return [
    `link set ${device} up`,
    // Known from the start, so that no ARP packet is ever counted.
    ...to.mediaAddresses.map((of) => `neigh replace ${of} lladdr ${farEnd} dev ${device} nud permanent`),
    `route replace ${to.mediaSubnet} dev ${device}${table}`,
  ];
}

/**
 * What comes in for any address of the datacenters is for this namespace itself; what goes out is for the real one, media
 * over the cable of the two that it goes between.
 */
function commandsBetween(address: string, sites: readonly Site[], ways: readonly Way[]): string[] {
  return [
    'link set lo up',
    `address add ${address}/${PREFIX} dev host`,
    'link set host up',
    ...sites.flatMap(({ mediaSubnet, controlAddress }) => [
      `route add local ${mediaSubnet} dev lo table local`,
      `route add local ${controlAddress}/32 dev lo table local`,
    ]),
    ...ways.flatMap(({ from, to }, index) => {
      const table = 1_000 + index;
      return [
        ...routeOver(cableOf(to, from), to, hardwareAddress(0, to, from), ` table ${table}`),
        `rule add pref 10 from ${from.mediaSubnet} to ${to.mediaSubnet} iif lo lookup ${table}`,
      ];
    }),
    'rule add pref 20 iif lo lookup main',
    'rule add pref 30 lookup local',
    'rule del pref 0',
  ];
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
    if (!Number.isInteger(mediaNodes) || mediaNodes < 0 || mediaNodes > MAX_MEDIA_NODES)
      throw new LocalClusterError(
        `A datacenter has 0 to ${MAX_MEDIA_NODES} media nodes here, not ${mediaNodes}.`,
      );
  }
  if (sizes.some(({ name }) => name === BETWEEN))
    throw new LocalClusterError(`No datacenter can be named "${BETWEEN}" here.`);
  if (new Set(sizes.map(({ name }) => name)).size < sizes.length)
    throw new LocalClusterError('Two datacenters have the same name.');
}

function hexadecimal(value: number): string {
  return value.toString(16).padStart(2, '0');
}
