import { guardCallback } from '@plenary/cluster';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer, isIPv6 } from 'node:net';
import type { PortSlice } from '@plenary/cluster';
import { findPortHolder } from './port-holder.ts';
import type { PortProtocol } from './port-holder.ts';
import { ephemeralFault } from './port-plan.ts';

/** Maximum number of sockets that the bind test holds open at once. */
const BATCH = 64;

/** Names the ports that the system may give to other programs, and the remedy; reads the system's settings. */
export function readEphemeralFault(ports: PortSlice): string | undefined {
  const ephemeral = readSystem('/proc/sys/net/ipv4/ip_local_port_range');
  const reserved = readSystem('/proc/sys/net/ipv4/ip_local_reserved_ports') ?? '';
  return ephemeral === undefined ? undefined : ephemeralFault(ports, ephemeral, reserved);
}

/** The reason why a port cannot be bound. */
export interface PortFault {
  /** Whether another process has it, so that other ports may be free. */
  readonly taken: boolean;
  /** One sentence that names the port and, if it can be read, the process that has it. */
  readonly message: string;
}

/**
 * Binds every port of a slice for a moment: UDP on all, TCP on the WebRTC ports.
 * @returns the first fault in the order of ports
 */
export async function findPortFault(
  slice: PortSlice,
  tcpPorts: readonly number[],
  listenIps: readonly string[],
): Promise<PortFault | undefined> {
  for (const listenIp of listenIps) {
    for (let start = slice.firstPort; start <= slice.lastPort; start += BATCH) {
      const ports = Array.from(
        { length: Math.min(BATCH, slice.lastPort - start + 1) },
        (_unused, index) => start + index,
      );
      const fault = firstFault(await Promise.all(ports.map((port) => tryUdp(port, listenIp))));
      if (fault !== undefined) return fault;
    }
    const fault = firstFault(await Promise.all(tcpPorts.map((port) => tryTcp(port, listenIp))));
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const firstFault = (faults: readonly (PortFault | undefined)[]): PortFault | undefined =>
  faults.find((fault) => fault !== undefined);

/** Returns `undefined` when the system has no such file, as outside Linux, or hides it. */
function readSystem(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function faultOf(
  protocol: PortProtocol,
  port: number,
  listenIp: string,
  error: Error & { code?: string },
): PortFault {
  const what = `${protocol.toUpperCase()} port ${port} on ${listenIp}`;
  if (error.code === 'EACCES') return { taken: false, message: `${what} ${notAllowed(port)}` };
  if (error.code === 'EADDRNOTAVAIL')
    return {
      taken: false,
      message: `${what} cannot be bound: no interface of this machine has that address (PLENARY_LISTEN_IP; without it PLENARY_ANNOUNCED_ADDRESS)`,
    };
  if (error.code !== 'EADDRINUSE')
    return { taken: false, message: `${what} cannot be bound (${error.message})` };
  const holder = findPortHolder(protocol, port, listenIp);
  if (holder === undefined) return { taken: true, message: `${what} is taken by another process` };
  const command = holder.command === '' ? '' : ` (${holder.command})`;
  return { taken: true, message: `${what} is taken by process ${holder.pid}${command}` };
}

/**
 * The sysctl is named first: the worker, which binds the ports, is a process of its own that a capability of Node's
 * file would not reach.
 */
const notAllowed = (port: number): string =>
  `may not be bound by this user: allow it with sysctl -w net.ipv4.ip_unprivileged_port_start=${port} (of the network ` +
  'namespace that the node runs in), or give the process and its children CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=)';

function tryUdp(port: number, listenIp: string): Promise<PortFault | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(listenIp) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
    socket.once(
      'error',
      guardCallback('mediasoup', (error) => {
        socket.close();
        resolve(faultOf('udp', port, listenIp, error));
      }),
    );
    socket.bind(
      { port, address: listenIp, exclusive: true },
      guardCallback('background', () => {
        socket.close(guardCallback('background', () => resolve(undefined)));
      }),
    );
  });
}

function tryTcp(port: number, listenIp: string): Promise<PortFault | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once(
      'error',
      guardCallback('mediasoup', (error) => {
        resolve(faultOf('tcp', port, listenIp, error));
      }),
    );
    server.listen(
      { port, host: listenIp, exclusive: true, ipv6Only: isIPv6(listenIp) },
      guardCallback('background', () => {
        server.close(guardCallback('background', () => resolve(undefined)));
      }),
    );
  });
}
