import { PlenaryError, announcedOf, familyOf, sharedFamily } from '@plenary/cluster';
import type { AnnouncedAddresses, DatacenterId } from '@plenary/cluster';
import { isPrivateAddress } from '../media-address.ts';
import type { RemoteNode } from './home-side.ts';
import { staysOnMachine } from './machine.ts';
import type { Machine } from './machine.ts';

/** The nodes that are offered the pipe address: all that have one themselves, or only those of the own datacenter. */
export type PipeScope = 'cluster' | 'datacenter';

/** The facts about this node that decide its pipes. */
export interface PipeOrigin {
  readonly addresses: AnnouncedAddresses;
  /** Addresses for other media nodes, one per family at most. */
  readonly pipeAddresses: readonly string[];
  readonly pipeScope: PipeScope;
  readonly datacenter: DatacenterId;
  readonly machine: Machine;
}

/** The addresses and encryption of a pipe to another node. */
export interface PipePath {
  readonly reach: 'announced';
  /** Address of this node. */
  readonly ownAddress: string;
  /** Address of the other node. */
  readonly toAddress: string;
  readonly srtp: boolean;
}

/** The other node, from its record and its `hello`. */
export type PipeTarget = Pick<RemoteNode, 'mediaNodeId' | 'addresses' | 'pipeAddresses' | 'machineId'>;

/**
 * Chooses the addresses of a pipe to another node, and whether it is encrypted (SPEC PI8, PI12, PI24, PI25, PS10).
 * @throws PlenaryError `media_unavailable` when the nodes share no address family
 */
export function pathBetween(own: PipeOrigin, other: PipeTarget, otherDatacenter: DatacenterId): PipePath {
  const isInScope = own.pipeScope === 'cluster' || own.datacenter === otherDatacenter;
  const [ownAddress, toAddress] =
    (isInScope ? pipePair(own, other) : undefined) ?? announcedPair(own.addresses, other);
  // Packets that stay on one machine cross no cable on which anybody could listen, in either direction.
  const { machine } = own;
  const stays =
    machine.hasAddress(ownAddress) &&
    staysOnMachine(machine, { machineId: other.machineId, address: toAddress });
  return { reach: 'announced', ownAddress, toAddress, srtp: !stays };
}

const FAMILIES = ['ipv4', 'ipv6'] as const;

/**
 * The pipe addresses of both nodes. The announced address replaces a missing one, if both addresses are private or
 * both public. A private network and the internet are not connected: a NAT would change the source of the packets,
 * and mediasoup drops packets from an unexpected source.
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
