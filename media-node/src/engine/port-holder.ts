import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { isIP } from 'node:net';

export type PortProtocol = 'udp' | 'tcp';

/** A process that holds a port. */
export interface PortHolder {
  readonly pid: number;
  /** Its command line, shortened; empty when it has just ended. */
  readonly command: string;
}

/**
 * Finds the process that keeps a port from being bound on an address. Reads /proc, so works on Linux only, and only
 * for processes that this one may inspect. Returns `undefined` when the process cannot be found.
 * @param ip - the address that could not be bound
 */
export function findPortHolder(protocol: PortProtocol, port: number, ip: string): PortHolder | undefined {
  const inodes = socketsOn(protocol, port, ip);
  if (inodes.size === 0) return undefined;
  for (const name of readFolder('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const holds = readFolder(`/proc/${name}/fd`).some((descriptor) =>
      inodes.has(read(() => readlinkSync(`/proc/${name}/fd/${descriptor}`))),
    );
    if (!holds) continue;
    const command = read(() => readFileSync(`/proc/${name}/cmdline`, 'utf8'));
    return { pid: Number(name), command: command.split('\0').join(' ').trim().slice(0, 120) };
  }
  return undefined;
}

/** Returns the sockets, as /proc names them, that block an address and port. */
function socketsOn(protocol: PortProtocol, port: number, ip: string): Set<string> {
  const inodes = new Set<string>();
  for (const table of [protocol, `${protocol}6`]) {
    for (const line of read(() => readFileSync(`/proc/net/${table}`, 'utf8'))
      .split('\n')
      .slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [address = '', hexPort = ''] = (fields[1] ?? '').split(':');
      const listens = protocol === 'udp' || fields[3] === '0A';
      if (Number.parseInt(hexPort, 16) !== port || !listens || fields[9] === undefined) continue;
      if (blocks(address, ip)) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  return inodes;
}

/** @param address - as /proc writes it: words of four bytes in hexadecimal, each in this machine's order */
function blocks(address: string, ip: string): boolean {
  const isEvery = /^0+$/.test(address);
  // A socket on :: may accept IPv4 too.
  if (isEvery) return isIP(ip) === 6 ? address.length === 32 : true;
  if (/^(0\.0\.0\.0|[0:]+)$/.test(ip)) return isIP(ip) === (address.length === 32 ? 6 : 4);
  return bytesOf(address) === hexOf(ip);
}

function bytesOf(address: string): string {
  const words = address.match(/.{8}/g) ?? [];
  const bytes = words
    .flatMap((word) => (word.match(/../g) ?? []).reverse())
    .join('')
    .toLowerCase();
  // An IPv4 address in an IPv6 socket.
  return bytes.startsWith('00000000000000000000ffff') ? bytes.slice(24) : bytes;
}

function hexOf(ip: string): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  if (isIP(ip) === 4)
    return ip
      .split('.')
      .map((part) => hex(Number(part), 2))
      .join('');
  const [left = '', right = ''] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::');
  const words = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [words(left), words(right)];
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].map((word) => word.padStart(4, '0')).join('');
}

// Processes may end while /proc is read, and those of other users are not readable: both count as "not this one".
function read(readText: () => string): string {
  try {
    return readText();
  } catch {
    return ''; // See above.
  }
}

function readFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // See above.
  }
}
