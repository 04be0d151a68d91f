import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** Tells whether packets between two nodes leave the machine. */
export interface Machine {
  /**
   * Equal for two processes of one running kernel and one network namespace, and for no others. `undefined` when it
   * cannot be read, as outside Linux.
   */
  readonly id: string | undefined;
  /**
   * Whether the address belongs to an interface of this machine, so that its kernel delivers packets without any
   * cable.
   */
  hasAddress(address: string): boolean;
}

/** This machine. */
export const THIS_MACHINE: Machine = { id: readId(), hasAddress: isOwnAddress };

/** A machine about which nothing is known: all packets to other nodes count as leaving it. */
export const UNKNOWN_MACHINE: Machine = { id: undefined, hasAddress: () => false };

/**
 * Whether packets from this node to another never leave the machine (SPEC PI8). Equal addresses do not prove it: two
 * machines behind one NAT announce the same address, and packets to a NAT's address leave even a machine that hosts
 * both nodes.
 */
export function staysOnMachine(
  own: Machine,
  other: { readonly machineId: string | undefined; readonly address: string },
): boolean {
  return own.id !== undefined && own.id === other.machineId && own.hasAddress(other.address);
}

/** Hashed, since other nodes need only compare it. */
function readId(): string | undefined {
  try {
    const kernel = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return createHash('sha256')
      .update(`plenary machine ${kernel} ${readlinkSync('/proc/self/ns/net')}`)
      .digest('base64url')
      .slice(0, 22);
  } catch {
    return undefined; // Not Linux, or hidden: everything is encrypted.
  }
}

/** Reads the interfaces each time, since addresses change; called once per pipe. */
function isOwnAddress(address: string): boolean {
  if (/^127\.\d+\.\d+\.\d+$/.test(address)) return true;
  return Object.values(networkInterfaces()).some((interfaces) =>
    interfaces?.some((each) => each.address === address),
  );
}
