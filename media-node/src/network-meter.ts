import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import type { NetworkInterfaceInfo } from 'node:os';
import { isUnspecified } from '@plenary/cluster';

/** What a link carries where the system does not know its speed, as in most virtual machines, in Mbit/s. */
export const ASSUMED_LINK_MBIT = 1_000;

/** What the system counted of one interface since it came up. */
export interface InterfaceCounters {
  readonly sentBytes: number;
  /** Sent and received. */
  readonly packets: number;
}

/** The part of the system that the meter looks at. */
export interface NetworkSystem {
  /** As `/proc/net/dev`. @throws Error where there is none */
  counters(): Promise<string>;
  /** The speed of an interface in Mbit/s; `undefined` where it is not known. */
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
      // Virtual interfaces have no speed, and say so by failing to be read.
      return undefined;
    }
  },
  interfaces: networkInterfaces,
};

/** Reads `/proc/net/dev`: a line for each interface, eight figures of receiving and eight of sending. */
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
  /** Where RTP is bound, by family. */
  readonly listenIps: readonly string[];
  /** What the node may send, in Mbit/s; `undefined`: what its link carries. */
  readonly maxOutgoingMbit: number | undefined;
  /** Packets that the node may send and receive in a second. */
  readonly maxPacketsPerSecond: number;
  readonly system?: NetworkSystem;
}

/** Network load as fractions of the limits. */
export interface NetworkLoad {
  readonly bandwidth: number;
  readonly packets: number;
}

/**
 * Measures the network by the kernel's own counters: one small file a second, where asking mediasoup would cost a message
 * to a worker for each transport. They count everything that the host sends, of whichever process, which is what the
 * link's limit is about. The busiest interface counts, since a bridge and its members would count each packet twice.
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

  /** At the last measurement. */
  get load(): NetworkLoad {
    return this.#load;
  }

  /**
   * Measures what passed since the last measurement; the first one only begins.
   * @param nowMs - of a clock that never jumps
   * @throws Error where the system has no such counters
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

  /** The interfaces that carry this node's media: those with its addresses, or all that have one and leave the host. */
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
    // Memory has no link to fill.
    if (isLoopback) return Number.POSITIVE_INFINITY;
    return (await this.#system.speedMbit(name)) ?? ASSUMED_LINK_MBIT;
  }
}
