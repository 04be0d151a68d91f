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
  /** Makes jitter and loss repeatable. */
  readonly seed?: number;
  readonly onDelivered?: DeliveryObserver;
}

/**
 * Stands for distance: relays UDP and TCP ports in user space, each direction impaired alike. `tc netem` is not in
 * every kernel and would need root; this needs neither.
 */
export class ImpairmentProxy {
  readonly #relays: (UdpRelay | TcpRelay)[] = [];
  #impairment: Impairment;

  private constructor(impairment: Impairment) {
    this.#impairment = checkImpairment(impairment);
  }

  /** Listens on every link, or on none: what was opened is closed again when one fails. */
  static async start(options: ImpairmentProxyOptions): Promise<ImpairmentProxy> {
    const proxy = new ImpairmentProxy(options.impairment);
    const impairment = (): Impairment => proxy.#impairment;
    const { onDelivered } = options;
    try {
      for (const [index, { protocol, listen, target }] of options.links.entries()) {
        // A stream of numbers of its own for each link, so that one link's traffic does not shift another's fate.
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

  /** Where each link listens, in the order of the options; port 0 has become a real one. */
  get addresses(): readonly Endpoint[] {
    return this.#relays.map((relay) => relay.address);
  }

  /** All relays' counts, added up. */
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

  /** Changes the path for what comes from now on; what is on its way arrives as it would have. */
  setImpairment(impairment: Impairment): void {
    this.#impairment = checkImpairment(impairment);
  }

  /** Breaks all TCP connections. */
  dropConnections(): void {
    for (const relay of this.#relays) if (relay instanceof TcpRelay) relay.dropConnections();
  }

  /** Gives each UDP client another port towards the target, as an address translator does that has forgotten it. */
  rebind(): void {
    for (const relay of this.#relays) if (relay instanceof UdpRelay) relay.rebind();
  }

  async close(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.close()));
  }
}
