import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { isIPv6 } from 'node:net';
import type { PortSlice } from '@plenary/cluster';
import { ephemeralFault, planPorts } from './port-plan.ts';
import type { PortPlan } from './port-plan.ts';

/** Sockets that the bind test holds open at once. */
const BATCH = 64;

/**
 * Whether a slice can be used on this machine now: large enough, outside the system's ephemeral ports, and every port
 * free.
 * @returns the plan, or one sentence that says what is wrong, naming the port
 */
export async function checkSlice(
  slice: PortSlice,
  workers: number,
  listenIp: string,
): Promise<PortPlan | { readonly fault: string }> {
  const plan = planPorts(slice, workers);
  if ('fault' in plan) return plan;
  const ephemeral = readSystem('/proc/sys/net/ipv4/ip_local_port_range');
  const reserved = readSystem('/proc/sys/net/ipv4/ip_local_reserved_ports') ?? '';
  if (ephemeral !== undefined) {
    const fault = ephemeralFault(slice, ephemeral, reserved);
    if (fault !== undefined) return { fault };
  }
  const taken = await findTakenPort(slice, plan.webRtcPorts, listenIp);
  return taken === undefined ? plan : { fault: taken };
}

/** `undefined` where the system has no such file, as outside Linux, or hides it. */
function readSystem(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

async function findTakenPort(
  slice: PortSlice,
  tcpPorts: readonly number[],
  listenIp: string,
): Promise<string | undefined> {
  for (let start = slice.firstPort; start <= slice.lastPort; start += BATCH) {
    const ports = Array.from(
      { length: Math.min(BATCH, slice.lastPort - start + 1) },
      (_unused, index) => start + index,
    );
    const faults = await Promise.all(ports.map((port) => tryUdp(port, listenIp)));
    const fault = faults.find((found) => found !== undefined);
    if (fault !== undefined) return fault;
  }
  const faults = await Promise.all(tcpPorts.map((port) => tryTcp(port, listenIp)));
  return faults.find((found) => found !== undefined);
}

function describe(
  protocol: string,
  port: number,
  listenIp: string,
  error: Error & { code?: string },
): string {
  const why =
    error.code === 'EADDRINUSE' ? 'is taken by another process' : `cannot be bound (${error.message})`;
  return `${protocol} port ${port} on ${listenIp} ${why}`;
}

function tryUdp(port: number, listenIp: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: isIPv6(listenIp) ? 'udp6' : 'udp4' });
    socket.once('error', (error) => {
      socket.close();
      resolve(describe('UDP', port, listenIp, error));
    });
    socket.bind({ port, address: listenIp, exclusive: true }, () => {
      socket.close(() => {
        resolve(undefined);
      });
    });
  });
}

function tryTcp(port: number, listenIp: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => {
      resolve(describe('TCP', port, listenIp, error));
    });
    server.listen({ port, host: listenIp, exclusive: true }, () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}
