import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { NetworkInterfaceInfo } from 'node:os';
import { isUnspecified } from '@plenary/cluster';

/** Capacity of a link whose speed the system does not know, as in most virtual machines, in Mbit/s. */
export const ASSUMED_LINK_MBIT = 1_000;

/** The system's counters of one interface since it came up. */
export interface InterfaceCounters {
  readonly sentBytes: number;
  /** Sent and received. */
  readonly packets: number;
}

/** The part of the system that the meter reads. */
export interface NetworkSystem {
  /** The text of `/proc/net/dev`. @throws Error when it does not exist */
  counters(): Promise<string>;
  /** The speed of an interface in Mbit/s; `undefined` when it is not known. */
  speedMbit(name: string): Promise<number | undefined>;
  interfaces(): Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
}

export const linuxNetwork: NetworkSystem = {
  counters: () => readFile('/proc/net/dev', 'utf8'),
  speedMbit: async (name) => {
    try {
      const speed = Number(await readFile(`/sys/class/net/${name}/speed`, 'utf8'));
      return speed > 0 ? speed : undefined;
    } catch {
      // Virtual interfaces have no speed; reading it fails.
      return undefined;
    }
  },
  interfaces: networkInterfaces,
};

/** Parses `/proc/net/dev`: one line per interface, with eight counters for receiving and eight for sending. */
export function parseCounters(text: string): ReadonlyMap<string, InterfaceCounters> {
  const counters = new Map<string, InterfaceCounters>();
  for (const line of text.split('\n')) {
    const [, name, figures] = /^\s*([^\s:]+):\s*(.+)$/.exec(line) ?? [];
    const [, receivedPackets, , , , , , , sentBytes, sentPackets] = (figures ?? '').split(/\s+/).map(Number);
    if (name === undefined || receivedPackets === undefined) continue;
    if (sentBytes === undefined || sentPackets === undefined) continue;
    counters.set(name, { sentBytes, packets: receivedPackets + sentPackets });
  }
  return counters;
}

export interface NetworkMeterOptions {
  /** The addresses that RTP is bound on, by family. */
  readonly listenIps: readonly string[];
  /** Outgoing bitrate limit of the node in Mbit/s; `undefined` for the capacity of its link. */
  readonly maxOutgoingMbit: number | undefined;
  /** Packets per second that the node may send and receive. */
  readonly maxPacketsPerSecond: number;
  readonly system?: NetworkSystem;
}

/** Network load as fractions of the limits. */
export interface NetworkLoad {
  readonly bandwidth: number;
  readonly packets: number;
}

/**
 * Measures the network by the kernel's own counters: one small file per second, where mediasoup would need a message
 * to a worker for each transport. They count all that the host sends, by any process, because the link's limit
 * applies to that. The busiest interface counts, since a bridge and its members would count each packet twice.
 */
export class NetworkMeter {
  readonly #options: NetworkMeterOptions;
  readonly #system: NetworkSystem;
  #last: { readonly counters: ReadonlyMap<string, InterfaceCounters>; readonly atMs: number } | undefined;
  #load: NetworkLoad = { bandwidth: 0, packets: 0 };

  constructor(options: NetworkMeterOptions) {
    this.#options = options;
    this.#system = options.system ?? linuxNetwork;
  }

  /** The last measurement. */
  get load(): NetworkLoad {
    return this.#load;
  }

  /**
   * Measures since the last measurement; the first call only sets the start.
   * @param nowMs - from a monotonic clock
   * @throws Error when the system has no such counters
   */
  async measure(nowMs: number): Promise<void> {
    const counters = parseCounters(await this.#system.counters());
    const last = this.#last;
    this.#last = { counters, atMs: nowMs };
    const seconds = last === undefined ? 0 : (nowMs - last.atMs) / 1_000;
    if (last === undefined || seconds <= 0) return;
    let [bandwidth, packets] = [0, 0];
    for (const { name, isLoopback } of this.#carriers()) {
      const [before, after] = [last.counters.get(name), counters.get(name)];
      if (before === undefined || after === undefined) continue;
      const mbit = ((after.sentBytes - before.sentBytes) * 8) / 1e6 / seconds;
      const perSecond = (after.packets - before.packets) / seconds;
      bandwidth = Math.max(bandwidth, mbit / (await this.#limitMbit(name, isLoopback)));
      packets = Math.max(packets, perSecond / this.#options.maxPacketsPerSecond);
    }
    this.#load = { bandwidth, packets };
  }

  /**
   * Lists the interfaces that carry this node's RTP: those with its addresses, or all external ones that have an
   * address.
   */
  #carriers(): readonly { readonly name: string; readonly isLoopback: boolean }[] {
    const { listenIps } = this.#options;
    return Object.entries(this.#system.interfaces()).flatMap(([name, addresses = []]) => {
      const isLoopback = addresses.some(({ internal }) => internal);
      const carries = listenIps.some(isUnspecified)
        ? !isLoopback
        : addresses.some(({ address }) => listenIps.includes(address));
      return carries ? [{ name, isLoopback }] : [];
    });
  }

  async #limitMbit(name: string, isLoopback: boolean): Promise<number> {
    const { maxOutgoingMbit } = this.#options;
    if (maxOutgoingMbit !== undefined) return maxOutgoingMbit;
    // The loopback interface has no link to saturate.
    if (isLoopback) return Number.POSITIVE_INFINITY;
    return (await this.#system.speedMbit(name)) ?? ASSUMED_LINK_MBIT;
  }
}
