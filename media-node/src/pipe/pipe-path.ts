import { PlenaryError, announcedOf, familyOf, sharedFamily } from '@plenary/cluster';
import type { AnnouncedAddresses, DatacenterId } from '@plenary/cluster';
import { isPrivateAddress } from '../media-address.ts';
import type { RemoteNode } from './home-side.ts';
import { staysOnMachine } from './machine.ts';
import type { Machine } from './machine.ts';

/** Which nodes are sent the pipe address: all that have one, or those of the own datacenter. */
export type PipeScope = 'cluster' | 'datacenter';

/** This node, as far as pipes to others are concerned. */
export interface PipeOrigin {
  readonly addresses: AnnouncedAddresses;
  /** By which other media nodes reach it, one of each family at most. */
  readonly pipeAddresses: readonly string[];
  readonly pipeScope: PipeScope;
  readonly datacenter: DatacenterId;
  readonly machine: Machine;
}

/** How a pipe to another node runs. */
export interface PipePath {
  readonly reach: 'announced';
  /** Of this node. */
  readonly ownAddress: string;
  /** Of the other one. */
  readonly toAddress: string;
  readonly srtp: boolean;
}

/** The other node: what its record and its `hello` say. */
export type PipeTarget = Pick<RemoteNode, 'mediaNodeId' | 'addresses' | 'pipeAddresses' | 'machineId'>;

/**
 * Between which addresses a pipe to another node runs, and whether it is encrypted (SPEC PI8, PI12, PI24, PI25, PS10).
 * @throws PlenaryError `media_unavailable` when the nodes have no family of addresses in common
 */
export function pathBetween(own: PipeOrigin, other: PipeTarget, otherDatacenter: DatacenterId): PipePath {
  const isInScope = own.pipeScope === 'cluster' || own.datacenter === otherDatacenter;
  const [ownAddress, toAddress] =
    (isInScope ? pipePair(own, other) : undefined) ?? announcedPair(own.addresses, other);
  // Packets that stay on one machine cross no cable that anybody could listen on, in neither direction.
  const { machine } = own;
  const stays =
    machine.hasAddress(ownAddress) &&
    staysOnMachine(machine, { machineId: other.machineId, address: toAddress });
  return { reach: 'announced', ownAddress, toAddress, srtp: !stays };
}

const FAMILIES = ['ipv4', 'ipv6'] as const;

/**
 * The addresses for pipes of both; the announced one stands for that of a node that has none, where both are of one kind. A
 * private network and the internet are not joined: a node's NAT would give its packets another source than the other end
 * was told, and mediasoup drops what comes from elsewhere.
 */
function pipePair(own: PipeOrigin, other: PipeTarget): readonly [string, string] | undefined {
  for (const family of FAMILIES) {
    const [ownPipe, otherPipe] = [own.pipeAddresses, other.pipeAddresses].map((addresses) =>
      addresses.find((address) => familyOf(address) === family),
    );
    if (ownPipe === undefined && otherPipe === undefined) continue;
    const ownAddress = ownPipe ?? announcedOf(own.addresses, family);
    const toAddress = otherPipe ?? announcedOf(other.addresses, family);
    if (ownAddress === undefined || toAddress === undefined) continue;
    const bothHaveOne = ownPipe !== undefined && otherPipe !== undefined;
    if (bothHaveOne || isPrivateAddress(ownAddress) === isPrivateAddress(toAddress))
      return [ownAddress, toAddress];
  }
  return undefined;
}

function announcedPair(own: AnnouncedAddresses, other: PipeTarget): readonly [string, string] {
  const family = sharedFamily(own, other.addresses);
  const ownAddress = family && announcedOf(own, family);
  const toAddress = family && announcedOf(other.addresses, family);
  if (ownAddress === undefined || toAddress === undefined) {
    throw new PlenaryError(
      'media_unavailable',
      `${other.mediaNodeId} and this node announce no addresses of one family.`,
    );
  }
  return [ownAddress, toAddress];
}
