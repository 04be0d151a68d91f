import { atMost, guardCallback, inBackground, PlenaryError, toPlenaryError } from '@plenary/cluster';
import type {
  DatacenterId,
  ErrorCode,
  Gateway,
  Logger,
  MediaNodeId,
  RoomId,
  RouterId,
  Timers,
  TrackId,
  TrackOrigin,
} from '@plenary/cluster';
import type { RoomRouter } from '../engine/engine.ts';
import type { HolderKind, TrackHold } from '../room/track-demand.ts';
import { GATEWAY_CHECK_MS, Gateways } from './gateways.ts';
import type { GatewaysOptions } from './gateways.ts';
import type { RemoteNodes } from './home-side.ts';
import { PULLING_CLOSE_REASONS } from './close-reasons.ts';
import type { OpenedLink, PipeLinkListener, PipeLinks, RouterPair } from './pipe-links.ts';
import type { Upstream } from './upstream.ts';

export interface TrackRoutesOptions {
  readonly roomId: RoomId;
  readonly ownNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly gateways: GatewaysOptions['gateways'];
  readonly nodes: RemoteNodes;
  readonly links: PipeLinks;
  readonly logger: Logger;
  readonly timers: Timers;
  /** How long a gateway may take to name its relay router, in milliseconds, before a track is pulled past it. */
  readonly gatewayPatienceMs: number;
  /** Returns the router that hosts a track of this node. */
  readonly homeRouterOf: (trackId: TrackId) => RouterId | undefined;
  /** Holds a track of this node on its own router. @throws PlenaryError `track_not_found` */
  readonly holdHome: (trackId: TrackId, holder: HolderKind) => TrackHold;
  readonly onFault: (where: string, thrown: unknown) => void;
}

/**
 * How long this node waits for a gateway, in milliseconds, before it pulls a track past it. The gateway is in the
 * same datacenter, and a disconnected one is detected only after three seconds: a second copy for some seconds is a
 * small price.
 */
export const GATEWAY_PATIENCE_MS = 500;
/** How many gateways are tried for one track, this node included, before the request fails. */
const MAX_GATEWAYS_TRIED = 3;
/** Errors of a node that is no longer a gateway. An ended track is not among them. */
const GATEWAY_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'media_unavailable',
  'media_lost',
  'timed_out',
  'shutting_down',
]);

const isGatewayFailure = (thrown: unknown): boolean => GATEWAY_FAILURES.has(toPlenaryError(thrown).code);

/**
 * Decides on which path the tracks of a room come to the routers of this node: straight from their home, or through
 * the gateway of this datacenter, which may be this node (SPEC GW). Owns this node's part in gateways: the claim, the
 * router on which tracks enter, the failure of a gateway, and the return from pipes that bypass it. {@link PipeLinks}
 * opens the pipes.
 */
export class TrackRoutes {
  readonly #options: TrackRoutesOptions;
  readonly #gateways: Gateways;
  readonly #listener: PipeLinkListener;
  /** The router of this node on which the tracks of a remote home enter, while this node is the gateway to it. */
  readonly #entryRouters = new Map<MediaNodeId, RouterId>();
  /** Number of open requests for tracks of each home. */
  readonly #requests = new Map<MediaNodeId, number>();
  /** Homes with pipes that bypass the gateway, while a timer runs to end that. */
  readonly #bypassed = new Set<MediaNodeId>();
  /** Bypasses whose tracks were already asked to come through the gateway. */
  readonly #endedBypasses = new WeakSet<OpenedLink>();
  #leaving = false;

  constructor(options: TrackRoutesOptions) {
    this.#options = options;
    const { roomId, ownNodeId, datacenter, gateways, timers, onFault } = options;
    this.#gateways = new Gateways({
      roomId,
      ownNodeId,
      datacenter,
      gateways,
      timers,
      onFault,
      onSuperseded: (homeNodeId) => {
        this.#superseded(homeNodeId);
      },
    });
    this.#listener = {
      ended: (link, reason) => {
        const { homeNodeId, upstream } = link;
        // The failure is noted, so that the next request for a track of this home does not try the dead gateway
        // again.
        const isFailure = reason !== undefined && PULLING_CLOSE_REASONS[reason].failsGateway;
        const noted =
          isFailure && upstream.gateway !== undefined
            ? this.#gateways.failed(homeNodeId, upstream.gateway.epoch)
            : Promise.resolve();
        this.#afterNoting('gateway.failed', noted, () => {
          this.#releaseUnused(homeNodeId);
        });
      },
      moved: (pair, homeNodeId) => {
        this.movedByGateway(pair, homeNodeId);
      },
    };
  }

  /**
   * Makes a track consumable on a router and holds it there; on its own home router that costs nothing. A track of
   * another datacenter comes through this datacenter's gateway, which may be this node (SPEC GW2).
   * @param onSuperseded - called when the track should take another path: hold it again, then release this hold (GW6)
   * @throws PlenaryError `track_not_found`, `media_unavailable`, `media_lost`, `timed_out`
   */
  async hold(
    router: RoomRouter,
    track: TrackOrigin,
    onSuperseded: () => void = () => undefined,
  ): Promise<TrackHold> {
    const endRequest = this.#beginRequest(track.homeNodeId);
    try {
      return await this.#holdThroughGateway(router, track, onSuperseded);
    } finally {
      endRequest();
    }
  }

  /**
   * Holds a track on a router for another pipe: on its home router, or, at the gateway, straight from the home. Never
   * through another gateway: two nodes that each take the other for the gateway would wait for each other.
   * @throws PlenaryError `track_not_found`; `media_lost` when this node is not the gateway
   */
  async holdForPipe(router: RoomRouter, track: TrackOrigin, onSuperseded: () => void): Promise<TrackHold> {
    if (track.homeNodeId === this.#options.ownNodeId) return this.#options.holdHome(track.trackId, 'pipe');
    if ((await this.relayRouter(track.homeNodeId)) !== router.id)
      throw new PlenaryError('media_lost', 'Not the gateway to the home of this track.');
    return this.#holdFrom(router, track, await this.#home(track), 'pipe', onSuperseded);
  }

  /** Returns the router of this node on which tracks of a remote home enter, while this node is the gateway to it. */
  async relayRouter(homeNodeId: MediaNodeId): Promise<RouterId | undefined> {
    if (this.#leaving) return undefined;
    return (await this.#gateways.isOwn(homeNodeId)) ? this.#entryRouters.get(homeNodeId) : undefined;
  }

  /**
   * This node drains or stops: it is no longer a gateway, and pulls tracks that it still needs straight from their
   * homes.
   */
  leave(): void {
    this.#leaving = true;
    this.#options.links.endSoon();
  }

  /** The drain was cancelled: this node may be a gateway again, and tracks that it pulled past one return to it. */
  stay(): void {
    this.#leaving = false;
    for (const { homeNodeId } of this.#bypasses()) this.#endBypassLater(homeNodeId);
  }

  /** The gateway at the other end of a pipe asks for another path for tracks of a home (SPEC GW6). */
  movedByGateway(pair: RouterPair, homeNodeId: MediaNodeId): void {
    const { links } = this.#options;
    const nodeId = links.get(pair)?.upstream.node?.mediaNodeId;
    const noted = nodeId === undefined ? Promise.resolve() : this.#gateways.left(homeNodeId, nodeId);
    this.#afterNoting('gateway.left', noted, () => {
      const link = links.get(pair);
      if (link !== undefined) links.supersede([link], homeNodeId);
    });
  }

  async #holdThroughGateway(
    router: RoomRouter,
    track: TrackOrigin,
    onSuperseded: () => void,
  ): Promise<TrackHold> {
    for (let attempt = 1; ; attempt += 1) {
      const gateway = await this.#gatewayTo(track.homeNodeId);
      try {
        const upstream = await this.#chooseUpstream(router, track, gateway);
        return await this.#holdFrom(router, track, upstream, 'viewer', onSuperseded);
      } catch (thrown) {
        const isRelayed = gateway !== undefined && gateway.mediaNodeId !== this.#options.ownNodeId;
        if (!isRelayed || attempt === MAX_GATEWAYS_TRIED || !isGatewayFailure(thrown)) throw thrown;
        await this.#gateways.failed(track.homeNodeId, gateway.epoch);
      }
    }
  }

  /** Returns the gateway for tracks of a home; `undefined` when they come straight, or no gateway can be named. */
  async #gatewayTo(homeNodeId: MediaNodeId): Promise<Gateway | undefined> {
    if (this.#leaving || !(await this.#isElsewhere(homeNodeId))) return undefined;
    return this.#gateways.find(homeNodeId);
  }

  /** Whether a home is in another datacenter. */
  async #isElsewhere(homeNodeId: MediaNodeId): Promise<boolean> {
    const { ownNodeId, datacenter, nodes } = this.#options;
    return homeNodeId !== ownNodeId && (await nodes.datacenterOf(homeNodeId)) !== datacenter;
  }

  /**
   * Chooses where a router gets a track from. @throws PlenaryError `track_not_found`, `media_unavailable`,
   * `media_lost`, `timed_out`
   */
  async #chooseUpstream(
    router: RoomRouter,
    track: TrackOrigin,
    gateway: Gateway | undefined,
  ): Promise<Upstream> {
    const { ownNodeId } = this.#options;
    if (gateway === undefined) {
      const isBypass = await this.#isElsewhere(track.homeNodeId);
      return { ...(await this.#home(track)), isBypass };
    }
    if (gateway.mediaNodeId === ownNodeId) {
      const entryRouter = this.#entryRouters.get(track.homeNodeId) ?? router.id;
      this.#entryRouters.set(track.homeNodeId, entryRouter);
      return entryRouter === router.id ? this.#home(track) : { routerId: entryRouter };
    }
    return this.#throughGatewayOrPast(track, gateway);
  }

  /** Uses the gateway, or bypasses it when it does not answer in time. */
  async #throughGatewayOrPast(track: TrackOrigin, gateway: Gateway): Promise<Upstream> {
    const { timers, gatewayPatienceMs } = this.#options;
    const relay = this.#relay(track.homeNodeId, gateway);
    const upstream = await atMost(timers, gatewayPatienceMs, relay);
    if (upstream !== undefined) return upstream;
    // The request continues, and its late answer shows whether the gateway has failed.
    relay.catch(
      guardCallback('background', (thrown: unknown) => {
        if (!isGatewayFailure(thrown)) return;
        this.#gateways.failed(track.homeNodeId, gateway.epoch).catch(
          guardCallback('background', (error: unknown) => {
            this.#options.onFault('gateway.failed', error);
          }),
        );
      }),
    );
    return { ...(await this.#home(track)), isBypass: true };
  }

  /**
   * Returns the router on which a gateway relays tracks of a home. @throws PlenaryError `media_unavailable`,
   * `timed_out`, `media_lost`
   */
  async #relay(homeNodeId: MediaNodeId, gateway: Gateway): Promise<Upstream> {
    const { nodes, roomId } = this.#options;
    const node = await nodes.find(gateway.mediaNodeId);
    const routerId = await node.relay(roomId, homeNodeId);
    if (routerId === null)
      throw new PlenaryError('media_lost', `${node.mediaNodeId} is not the gateway to this home.`);
    return { node, routerId, gateway };
  }

  /** Returns the home's router. @throws PlenaryError `track_not_found`, `media_unavailable`, `timed_out` */
  async #home(track: TrackOrigin): Promise<Upstream> {
    const { ownNodeId, homeRouterOf, nodes, roomId } = this.#options;
    if (track.homeNodeId === ownNodeId) {
      const routerId = homeRouterOf(track.trackId);
      if (routerId === undefined) throw new PlenaryError('track_not_found');
      return { routerId };
    }
    const node = await nodes.find(track.homeNodeId);
    return { node, routerId: await node.locate(roomId, track.trackId) };
  }

  async #holdFrom(
    router: RoomRouter,
    track: TrackOrigin,
    upstream: Upstream,
    holder: HolderKind,
    onSuperseded: () => void,
  ): Promise<TrackHold> {
    if (upstream.node === undefined && upstream.routerId === router.id)
      return this.#options.holdHome(track.trackId, holder);
    const opening = this.#options.links.open(router, upstream, track.homeNodeId, this.#listener);
    if (upstream.isBypass === true) this.#endBypassLater(track.homeNodeId);
    return (await opening).hold(track, holder, onSuperseded);
  }

  /** Pipes that bypass the gateway and should return to it. */
  #bypasses(): readonly OpenedLink[] {
    return this.#options.links
      .all()
      .filter((link) => link.upstream.isBypass === true && !this.#endedBypasses.has(link));
  }

  /** Ends bypasses as soon as a node can be the gateway again (SPEC GW16). */
  #endBypassLater(homeNodeId: MediaNodeId): void {
    if (this.#bypassed.has(homeNodeId)) return;
    this.#bypassed.add(homeNodeId);
    this.#options.timers.after(GATEWAY_CHECK_MS, () => {
      this.#bypassed.delete(homeNodeId);
      this.#endBypass(homeNodeId).catch(
        guardCallback('background', (error: unknown) => {
          this.#options.onFault('gateway.bypass', error);
        }),
      );
    });
  }

  /** Moves tracks that bypass the gateway onto it, make-before-break. */
  async #endBypass(homeNodeId: MediaNodeId): Promise<void> {
    const bypassesOfHome = (): OpenedLink[] =>
      this.#bypasses().filter((link) => link.homeNodeId === homeNodeId);
    if (this.#leaving || bypassesOfHome().length === 0) return;
    const endRequest = this.#beginRequest(homeNodeId);
    try {
      if ((await this.#gateways.find(homeNodeId)) === undefined) {
        this.#endBypassLater(homeNodeId);
        return;
      }
      const links = bypassesOfHome();
      for (const link of links) this.#endedBypasses.add(link);
      this.#options.links.supersede(links, homeNodeId);
    } finally {
      endRequest();
    }
  }

  /**
   * Counts a request for tracks of a home: this node keeps its claim as their gateway meanwhile. @returns a function
   * that ends it
   */
  #beginRequest(homeNodeId: MediaNodeId): () => void {
    this.#requests.set(homeNodeId, (this.#requests.get(homeNodeId) ?? 0) + 1);
    return () => {
      const left = (this.#requests.get(homeNodeId) ?? 1) - 1;
      if (left > 0) this.#requests.set(homeNodeId, left);
      else this.#requests.delete(homeNodeId);
      this.#releaseUnused(homeNodeId);
    };
  }

  /** Releases this node's part as the gateway to a home after the last pipe to it. */
  #releaseUnused(homeNodeId: MediaNodeId): void {
    if (this.#requests.has(homeNodeId)) return;
    if (this.#options.links.all().some((link) => link.homeNodeId === homeNodeId)) return;
    this.#entryRouters.delete(homeNodeId);
    this.#gateways.release(homeNodeId).catch(
      guardCallback('background', (error: unknown) => {
        this.#options.onFault('gateway.release', error);
      }),
    );
  }

  /** Moves tracks that come straight from a home onto the new gateway to it, which is another node now (SPEC GW6). */
  #superseded(homeNodeId: MediaNodeId): void {
    const { roomId, logger, links } = this.#options;
    logger.info({ roomId, homeNodeId }, 'another node is the gateway now');
    this.#entryRouters.delete(homeNodeId);
    links.supersede(links.all(), homeNodeId);
  }

  #afterNoting(where: string, noted: Promise<void>, action: () => void): void {
    inBackground(() =>
      noted.then(action, (error: unknown) => {
        this.#options.onFault(where, error);
      }),
    );
  }
}
