import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** Where a node runs, as far as that decides whether packets between two nodes leave it. */
export interface Machine {
  /**
   * The same for two processes of one running kernel and one network namespace, and for no others. `undefined` where that
   * cannot be told, as outside Linux.
   */
  readonly id: string | undefined;
  /** Whether an address is of an interface of this machine, so that its kernel delivers packets to it without any cable. */
  hasAddress(address: string): boolean;
}

/** This machine. */
export const THIS_MACHINE: Machine = { id: readId(), hasAddress: isOwnAddress };

/** One of which nothing is known: whatever goes to another node is taken to leave it. */
export const UNKNOWN_MACHINE: Machine = { id: undefined, hasAddress: () => false };

/**
 * Whether packets from this node to another never leave the machine (SPEC PI8). Equal texts of addresses say nothing: two
 * machines behind one NAT announce the same one, and packets to a NAT's address leave even a machine that both nodes are on.
 */
export function staysOnMachine(
  own: Machine,
  other: { readonly machineId: string | undefined; readonly address: string },
): boolean {
  return own.id !== undefined && own.id === other.machineId && own.hasAddress(other.address);
}

/** Hashed, since others need not know it, but only whether theirs is the same. */
function readId(): string | undefined {
  try {
    const kernel = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return createHash('sha256')
      .update(`plenary machine ${kernel} ${readlinkSync('/proc/self/ns/net')}`)
      .digest('base64url')
      .slice(0, 22);
  } catch {
    return undefined; // No Linux, or hidden: then everything is encrypted.
  }
}

/** Reads anew, since addresses come and go; it is asked once a pipe. */
function isOwnAddress(address: string): boolean {
  if (/^127\.\d+\.\d+\.\d+$/.test(address)) return true;
  return Object.values(networkInterfaces()).some((interfaces) =>
    interfaces?.some((each) => each.address === address),
  );
}
