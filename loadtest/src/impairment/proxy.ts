import type { DeliveryObserver, Endpoint, Impairment, RelayCounts } from './impairment.ts';
import { checkImpairment, newRelayCounts } from './impairment.ts';
import { seededRandom } from '@plenary/cluster/testing/seeded-random';
import { TcpRelay } from './tcp-relay.ts';
import { UdpRelay } from './udp-relay.ts';

/** One relayed port. */
export interface RelayedPort {
  readonly protocol: 'udp' | 'tcp';
  readonly listen: Endpoint;
  readonly target: Endpoint;
}

export interface ImpairmentProxyOptions {
  readonly links: readonly RelayedPort[];
  readonly impairment: Impairment;
  /** Makes jitter and loss reproducible. */
  readonly seed?: number;
  readonly onDelivered?: DeliveryObserver;
}

/**
 * Simulates distance: relays UDP and TCP ports in user space, with the same impairment in each direction. `tc netem` is not in
 * every kernel and needs root; this needs neither.
 */
export class ImpairmentProxy {
  readonly #relays: (UdpRelay | TcpRelay)[] = [];
  #impairment: Impairment;

  private constructor(impairment: Impairment) {
    this.#impairment = checkImpairment(impairment);
  }

  /** Listens on every link, or on none: if one fails, the others are closed again. */
  static async start(options: ImpairmentProxyOptions): Promise<ImpairmentProxy> {
    const proxy = new ImpairmentProxy(options.impairment);
    const impairment = (): Impairment => proxy.#impairment;
    const { onDelivered } = options;
    try {
      for (const [index, { protocol, listen, target }] of options.links.entries()) {
        // Each link has its own random sequence, so that one link's traffic does not change what another one loses.
        const random = seededRandom((options.seed ?? 1) + index * 7_919);
        const relay = protocol === 'udp' ? UdpRelay : TcpRelay;
        proxy.#relays.push(await relay.listen(listen, target, { impairment, random, onDelivered }));
      }
    } catch (error) {
      await proxy.close();
      throw error;
    }
    return proxy;
  }

  /** The address of each link, in the options' order; port 0 is replaced by the real one. */
  get addresses(): readonly Endpoint[] {
    return this.#relays.map((relay) => relay.address);
  }

  /** The sum of all relays' counts. */
  get counts(): RelayCounts {
    const sum = newRelayCounts();
    for (const { counts } of this.#relays) {
      sum.forwarded += counts.forwarded;
      sum.lost += counts.lost;
      sum.overflowed += counts.overflowed;
      sum.failed += counts.failed;
    }
    return sum;
  }

  /** Changes the path for packets from now on; packets in flight arrive as before. */
  setImpairment(impairment: Impairment): void {
    this.#impairment = checkImpairment(impairment);
  }

  /** Breaks all TCP connections. */
  dropConnections(): void {
    for (const relay of this.#relays) if (relay instanceof TcpRelay) relay.dropConnections();
  }

  /** Gives each UDP client another port towards the target, as an address translator does that lost its table. */
  rebind(): void {
    for (const relay of this.#relays) if (relay instanceof UdpRelay) relay.rebind();
  }

  async close(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.close()));
  }
}
