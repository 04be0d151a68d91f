import { guardCallback, toPlenaryError } from '@plenary/cluster';
import type {
  DatacenterId,
  Epoch,
  Gateway,
  GatewayStore,
  MediaNodeId,
  RoomId,
  Timers,
} from '@plenary/cluster';

/** How often a gateway checks that its claim still holds, in milliseconds. */
export const GATEWAY_CHECK_MS = 5_000;

export interface GatewaysOptions {
  readonly roomId: RoomId;
  readonly ownNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly gateways: GatewayStore;
  readonly timers: Timers;
  /** Another node replaced this one as the gateway to a home. */
  readonly onSuperseded: (homeNodeId: MediaNodeId) => void;
  /** Receives failed calls that no caller awaits. */
  readonly onFault: (where: string, thrown: unknown) => void;
}

/** The state of the gateway to one home: claimed, or known to have failed. */
type KnownGateway =
  | { readonly state: 'claimed'; readonly gateway: Promise<Gateway | undefined> }
  | { readonly state: 'failed'; readonly epoch: Epoch };

/**
 * The gateways of this node's datacenter for one room, as this node knows them: one for each remote home whose tracks
 * are needed here. The first node that needs a track claims to be the gateway; a node whose gateway fails claims its
 * place (SPEC GW1, GW3).
 */
export class Gateways {
  readonly #options: GatewaysOptions;
  readonly #known = new Map<MediaNodeId, KnownGateway>();
  /** Cancels the check of each claim of this node. */
  readonly #checks = new Map<MediaNodeId, () => void>();

  constructor(options: GatewaysOptions) {
    this.#options = options;
  }

  /**
   * Returns the live gateway to a remote home, and claims to be it if there is none. Returns `undefined` while the
   * store is unreachable, when no gateway can be named: the track is then pulled straight from its home, at the price
   * of a second copy.
   */
  async find(homeNodeId: MediaNodeId): Promise<Gateway | undefined> {
    const known = this.#known.get(homeNodeId);
    if (known?.state === 'claimed') return known.gateway;
    const gateway = this.#claim(homeNodeId, known?.epoch);
    const claimed: KnownGateway = { state: 'claimed', gateway };
    this.#known.set(homeNodeId, claimed);
    if ((await gateway) === undefined && this.#known.get(homeNodeId) === claimed) {
      if (known === undefined) this.#known.delete(homeNodeId);
      else this.#known.set(homeNodeId, known);
    }
    return gateway;
  }

  /** Whether this node itself is the gateway, as far as it knows. Claims nothing. */
  async isOwn(homeNodeId: MediaNodeId): Promise<boolean> {
    const known = this.#known.get(homeNodeId);
    if (known?.state !== 'claimed') return false;
    return (await known.gateway)?.mediaNodeId === this.#options.ownNodeId;
  }

  /** A gateway did not relay: the next {@link find} claims its place, unless another node has already. */
  async failed(homeNodeId: MediaNodeId, epoch: Epoch): Promise<void> {
    const known = this.#known.get(homeNodeId);
    if (known?.state !== 'claimed' || (await known.gateway)?.epoch !== epoch) return;
    if (this.#known.get(homeNodeId) === known) this.#known.set(homeNodeId, { state: 'failed', epoch });
  }

  /**
   * A gateway asks not to be used any more: the next {@link find} claims its place, unless another node has already.
   */
  async left(homeNodeId: MediaNodeId, mediaNodeId: MediaNodeId): Promise<void> {
    const known = this.#known.get(homeNodeId);
    if (known?.state !== 'claimed') return;
    const gateway = await known.gateway;
    if (gateway?.mediaNodeId === mediaNodeId) await this.failed(homeNodeId, gateway.epoch);
  }

  /**
   * Releases this node's own claim when no track of the home is needed here any more. A known failure of a gateway
   * stays known for the next request.
   */
  async release(homeNodeId: MediaNodeId): Promise<void> {
    const known = this.#known.get(homeNodeId);
    this.#endCheck(homeNodeId);
    if (known?.state !== 'claimed') return;
    this.#known.delete(homeNodeId);
    const { roomId, datacenter, ownNodeId, gateways, onFault } = this.#options;
    const gateway = await known.gateway;
    if (gateway?.mediaNodeId !== ownNodeId) return;
    try {
      await gateways.releaseGateway(roomId, datacenter, homeNodeId, gateway.epoch);
    } catch (error) {
      // Nodes that ask this node to relay are refused and claim its place.
      onFault('gateway.release', error);
    }
  }

  async #claim(homeNodeId: MediaNodeId, replacesEpoch: Epoch | undefined): Promise<Gateway | undefined> {
    const { roomId, datacenter, ownNodeId, gateways, onFault } = this.#options;
    try {
      const gateway = await gateways.claimGateway({
        roomId,
        datacenter,
        homeNodeId,
        mediaNodeId: ownNodeId,
        ...(replacesEpoch === undefined ? {} : { replacesEpoch }),
      });
      if (gateway.mediaNodeId === ownNodeId) this.#checkLater(homeNodeId);
      return gateway;
    } catch (error) {
      onFault('gateway.claim', error);
      return undefined;
    }
  }

  #checkLater(homeNodeId: MediaNodeId): void {
    this.#endCheck(homeNodeId);
    const cancel = this.#options.timers.after(GATEWAY_CHECK_MS, () => {
      this.#check(homeNodeId).catch(
        guardCallback('background', (error: unknown) => {
          this.#options.onFault('gateway.check', error);
        }),
      );
    });
    this.#checks.set(homeNodeId, cancel);
  }

  #endCheck(homeNodeId: MediaNodeId): void {
    this.#checks.get(homeNodeId)?.();
    this.#checks.delete(homeNodeId);
  }

  /** Claims again: this finds out who the gateway is, and restores a claim that the store has lost. */
  async #check(homeNodeId: MediaNodeId): Promise<void> {
    const { roomId, datacenter, ownNodeId, gateways, onSuperseded } = this.#options;
    const known = this.#known.get(homeNodeId);
    const current = (): boolean => known !== undefined && this.#known.get(homeNodeId) === known;
    if (!current()) return;
    let live: Gateway | undefined;
    try {
      live = await gateways.claimGateway({ roomId, datacenter, homeNodeId, mediaNodeId: ownNodeId });
    } catch (thrown) {
      // An unreachable store does not end this claim.
      if (toPlenaryError(thrown).code !== 'store_unavailable') throw thrown;
    }
    if (!current()) return;
    if (live !== undefined) this.#known.set(homeNodeId, { state: 'claimed', gateway: Promise.resolve(live) });
    if (live !== undefined && live.mediaNodeId !== ownNodeId) {
      this.#endCheck(homeNodeId);
      onSuperseded(homeNodeId);
    } else this.#checkLater(homeNodeId);
  }
}
