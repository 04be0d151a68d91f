import type { PortSlice } from '@plenary/cluster';

/** Minimum number of ports that a slice keeps for pipes, beside one per worker for its WebRtcServer. */
export const MIN_PIPE_PORTS = 8;

/** How a node uses its slice: one port per worker for WebRTC over UDP and TCP, the rest for pipes. */
export interface PortPlan {
  /** The WebRTC port of each worker, by its index. */
  readonly webRtcPorts: readonly number[];
  /**
   * Pipe ports, both ends included. All workers share them: mediasoup's PortManager starts at a random port of the
   * range and tries the next one when `bind` fails. So workers, which are processes of their own, never share a port,
   * and none runs out while another has free ones.
   */
  readonly pipePorts: { readonly min: number; readonly max: number };
}

/** Divides a slice, or says why it is too small. */
export function planPorts(slice: PortSlice, workers: number): PortPlan | { readonly fault: string } {
  const size = slice.lastPort - slice.firstPort + 1;
  const needed = workers + MIN_PIPE_PORTS;
  if (size < needed) {
    return {
      fault: `has ${size} ports, but ${workers} workers need ${needed} (one each, and ${MIN_PIPE_PORTS} for pipes)`,
    };
  }
  return {
    webRtcPorts: Array.from({ length: workers }, (_unused, index) => slice.firstPort + index),
    pipePorts: { min: slice.firstPort + workers, max: slice.lastPort },
  };
}

/** Parses port ranges as Linux writes them: `8080,9148-9200`. */
export function parsePortRanges(text: string): readonly PortSlice[] {
  return text
    .split(',')
    .map((part) => /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part))
    .filter((match) => match !== null)
    .map((match) => ({ firstPort: Number(match[1]), lastPort: Number(match[2] ?? match[1]) }));
}

/**
 * Names the ports, of a slice or of the range that slices are leased from, that the system may give to any outgoing
 * connection: those in its ephemeral range that are not reserved. Such a port may be free at the start and taken when
 * a worker needs it.
 * @param ephemeral - text of `ip_local_port_range`, two numbers
 * @param reserved - text of `ip_local_reserved_ports`
 */
export function ephemeralFault(slice: PortSlice, ephemeral: string, reserved: string): string | undefined {
  const [low, high] = ephemeral.trim().split(/\s+/).map(Number);
  if (low === undefined || high === undefined || Number.isNaN(low) || Number.isNaN(high)) return undefined;
  const reservedRanges = parsePortRanges(reserved);
  for (let port = Math.max(slice.firstPort, low); port <= Math.min(slice.lastPort, high); port += 1) {
    if (reservedRanges.some((range) => range.firstPort <= port && port <= range.lastPort)) continue;
    return (
      `port ${port} lies in the system's range for outgoing connections (${low}-${high}), so any program may take it: ` +
      `choose ports outside, or reserve these: sysctl -w net.ipv4.ip_local_reserved_ports=${[
        ...(reserved.trim() === '' ? [] : [reserved.trim()]),
        `${slice.firstPort}-${slice.lastPort}`,
      ].join(',')} (and in /etc/sysctl.d, to keep them reserved)`
    );
  }
  return undefined;
}

/** Restrictive networks let packets to these ports out, above all to 443. */
const LOW_PORTS = 1_024;

/** Warns about a port below 1024 that only the first of several workers has (SPEC AD29). */
export function loneLowPort([firstPort, ...otherPorts]: readonly number[]): string | undefined {
  if (firstPort === undefined || firstPort >= LOW_PORTS || otherPorts.length === 0) return undefined;
  return (
    `only the first worker has port ${firstPort}, and the others ${otherPorts.join(', ')}: their people get no media where a network ` +
    'lets out nothing else; set PLENARY_WORKERS=1 and run more nodes, each with an address of its own'
  );
}
