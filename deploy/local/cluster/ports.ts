import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { LocalClusterError } from './errors.ts';
import type { ClusterShape, FixedPorts } from './options.ts';
import type { PortSlice } from './plan.ts';

/** A block of ports that one cluster reserves. Its last port is the lock. */
const BLOCK_SIZE = 1_000;
const FIRST_BLOCK = 10_000;
/** In a block, HTTP ports come first; the RTP slices begin here. */
const RTP_OFFSET = 180;
const CONTROL_OFFSET = 40;
const REDIS_OFFSET = 80;
/** One port for each edge and each media node. */
const OPERATORS_OFFSET = 90;

export interface PortReservation {
  readonly ports: FixedPorts;
  /** The port for the cluster's own Redis. */
  readonly redis: number;
  /** Releases the block. */
  readonly release: () => Promise<void>;
}

/**
 * Takes a free block of ports. Parallel clusters, also of other test processes, never get the same one: the block is
 * locked by listening on its last port, which ends with the process, however that ends.
 * @throws LocalClusterError when the cluster is too large for a block, or none is free
 */
export async function reservePorts(shape: ClusterShape): Promise<PortReservation> {
  const room = Math.floor((BLOCK_SIZE - RTP_OFFSET - 1) / shape.sliceSize);
  if (shape.mediaNodes > Math.min(room, REDIS_OFFSET - CONTROL_OFFSET) || shape.edges > CONTROL_OFFSET) {
    throw new LocalClusterError(
      `A block of automatic ports has room for ${CONTROL_OFFSET} edges and ${room} media nodes of ${shape.sliceSize} RTP ports. Give the ports explicitly, or smaller slices (sliceSize).`,
    );
  }
  const [lowest, highest] = localPortRange();
  for (let first = FIRST_BLOCK; first + BLOCK_SIZE <= 65_536; first += BLOCK_SIZE) {
    // 20000 on belongs to `npm start`, which may run beside the tests.
    if (first >= 20_000 && first < 22_000) continue;
    if (first <= highest && first + BLOCK_SIZE - 1 >= lowest) continue;
    const lock = await listen(first + BLOCK_SIZE - 1, '127.0.0.1');
    if (lock === null) continue;
    lock.unref();
    const release = () => new Promise<void>((resolve) => lock.close(() => resolve()));
    if (await blockIsFree(first, shape)) {
      return {
        ports: {
          edges: first,
          control: first + CONTROL_OFFSET,
          operators: first + OPERATORS_OFFSET,
          rtp: first + RTP_OFFSET,
        },
        redis: first + REDIS_OFFSET,
        release,
      };
    }
    await release();
  }
  throw new LocalClusterError(
    'No free block of 1000 ports was found outside the range that the system deals out itself (net.ipv4.ip_local_port_range). Stop other clusters, or give the ports explicitly.',
  );
}

async function blockIsFree(first: number, shape: ClusterShape): Promise<boolean> {
  const tcp = [
    ...Array.from({ length: shape.edges }, (_, index) => first + index),
    ...Array.from({ length: shape.mediaNodes }, (_, index) => first + CONTROL_OFFSET + index),
    first + REDIS_OFFSET,
    ...Array.from({ length: shape.edges + shape.mediaNodes }, (_, index) => first + OPERATORS_OFFSET + index),
  ];
  for (const port of tcp) if (!(await isTcpPortFree(port, shape.host))) return false;
  const last = first + RTP_OFFSET + shape.mediaNodes * shape.sliceSize - 1;
  return (await firstTakenUdpPort({ first: first + RTP_OFFSET, last }, shape.listenIp)) === null;
}

/** The ports that the system deals out to outgoing connections; nothing may count on those. */
function localPortRange(): [number, number] {
  try {
    const [lowest, highest] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
      .trim()
      .split(/\s+/);
    return [Number(lowest), Number(highest)];
  } catch {
    return [49_152, 65_535]; // No Linux: the range that IANA sets aside for it.
  }
}

/** Whether a server could listen there now. */
export async function isTcpPortFree(port: number, host: string): Promise<boolean> {
  const server = await listen(port, host);
  if (server === null) return false;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return true;
}

/** @returns null when the port is taken */
function listen(port: number, host: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(explainListenError(error, port, host));
    });
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}

/**
 * The first port of the slice that somebody receives on, or null.
 * @throws LocalClusterError when the address is not one of this machine
 */
export async function firstTakenUdpPort(slice: PortSlice, host: string): Promise<number | null> {
  for (let port = slice.first; port <= slice.last; port++) {
    if (!(await isUdpPortFree(port, host))) return port;
  }
  return null;
}

function isUdpPortFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', reuseAddr: false });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(explainListenError(error, port, host));
    });
    socket.bind({ port, address: host, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}

function explainListenError(error: NodeJS.ErrnoException, port: number, host: string): Error {
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new LocalClusterError(
      `${host} is not an address of this machine, so nothing can listen on ${host}:${port}. Use an address of this machine, or 0.0.0.0 for all of them.`,
    );
  }
  if (error.code === 'EACCES') {
    return new LocalClusterError(
      `Port ${port} is reserved for root. Use a port from 1024 up: npm start -- --port 3000`,
    );
  }
  return error;
}

/**
 * Who holds a port, for a message: ` by process 123 (node server.js)`, or an empty text where that cannot be read.
 */
export function describeHolder(port: number, protocol: 'tcp' | 'udp'): string {
  const pid = findHolder(port, protocol);
  if (pid === null) return '';
  let command = '';
  try {
    command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim().slice(0, 120);
  } catch {
    command = ''; // It has just ended; its number alone is still worth telling.
  }
  return ` by process ${pid}${command === '' ? '' : ` (${command})`}`;
}

function findHolder(port: number, protocol: 'tcp' | 'udp'): number | null {
  const inodes = new Set<string>();
  for (const table of [protocol, `${protocol}6`]) {
    for (const line of readLines(`/proc/net/${table}`)) {
      const fields = line.trim().split(/\s+/);
      const localPort = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      const listening = protocol === 'udp' || fields[3] === '0A';
      const inode = fields[9];
      if (localPort === port && listening && inode !== undefined) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return null;
  for (const pid of readFolder('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of readFolder(`/proc/${pid}/fd`)) {
      if (inodes.has(readLink(`/proc/${pid}/fd/${descriptor}`))) return Number(pid);
    }
  }
  return null;
}

// Processes come and go while /proc is read, and those of other users are closed to us: both just mean "not this one".
function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return []; // See above.
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // See above.
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // See above.
  }
}
