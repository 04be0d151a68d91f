import { atMost, entry, inBackground, leftOut, PlenaryError, toPlenaryError } from '@plenary/cluster';
import type {
  DatacenterId,
  ErrorCode,
  Gateway,
  Logger,
  MediaNodeId,
  RareLines,
  RoomId,
  RouterId,
  TrackId,
  TrackOrigin,
} from '@plenary/cluster';
import type { RoomRouter } from '../engine/engine.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { Timers } from '../room/timers.ts';
import type { HolderKind, TrackHold } from '../room/track-demand.ts';
import type { HomeSide, PipeAsker, PipeKey, ProducerState, RemoteNode, RemoteNodes } from './home-side.ts';
import { GATEWAY_CHECK_MS, Gateways } from './gateways.ts';
import type { GatewaysOptions } from './gateways.ts';
import { PipeLink } from './pipe-link.ts';
import { pathBetween } from './pipe-path.ts';
import type { PipeOrigin, PipePath } from './pipe-path.ts';

export interface PipeLinksOptions {
  readonly roomId: RoomId;
  readonly ownNodeId: MediaNodeId;
  readonly datacenter: DatacenterId;
  readonly gateways: GatewaysOptions['gateways'];
  readonly origin: Omit<PipeOrigin, 'datacenter'>;
  readonly nodes: RemoteNodes;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** For what one fault of a network makes each pipe say. */
  readonly lines: Pick<RareLines, 'say'>;
  readonly timers: Timers;
  readonly lingerMs: number;
  /** How long a gateway may take to say by what it relays, in milliseconds, before a track is pulled past it. */
  readonly gatewayPatienceMs: number;
  /** The router that hosts a track of this node. */
  readonly homeRouterOf: (trackId: TrackId) => RouterId | undefined;
  /** Holds a track of this node on its own router. @throws PlenaryError `track_not_found` */
  readonly holdHome: (trackId: TrackId, holder: HolderKind) => TrackHold;
  /** The home side of a pipe between two routers of this node. */
  readonly localHomeSide: (key: PipeKey, asker: PipeAsker) => HomeSide;
  readonly acquireRouter: (workerIndex: number) => Promise<RouterLease>;
  readonly onFault: (where: string, thrown: unknown) => void;
}

/** Where a router gets a track from. */
interface Source {
  readonly routerId: RouterId;
  /** Absent when that router is of this node. */
  readonly node?: RemoteNode;
  /** When the track comes through another node: the claim under which that one relays it. */
  readonly gateway?: Gateway;
  /** It should have come through a gateway, and nobody could say through which. */
  readonly isBypass?: boolean;
}

interface Link {
  readonly homeNodeId: MediaNodeId;
  /** Whose router is at the other end; absent when it is of this node. */
  readonly nodeId: MediaNodeId | undefined;
  /** Leads past the gateway: nobody could name it while the store was away, it does not answer, or this node was leaving. */
  isBypass: boolean;
  readonly opening: Promise<PipeLink>;
}

type RouterPair = Pick<PipeKey, 'fromRouterId' | 'toRouterId'>;

/**
 * How long a gateway is waited for, in milliseconds, before a track is pulled past it: it is in the same datacenter, and one that
 * was cut off takes three seconds to be found out. A second copy for some seconds is a small price.
 */
export const GATEWAY_PATIENCE_MS = 500;
/** Gateways that are tried for one track, this node included, before it is given up. */
const MAX_SOURCES = 3;
/** What a node answers, or does not, that is no gateway any more. That the track is gone is not among it. */
const GATEWAY_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'media_unavailable',
  'media_lost',
  'timed_out',
  'shutting_down',
]);

/** The pipes of a room that this node asked for, one per pair of routers. */
export class PipeLinks {
  readonly #options: PipeLinksOptions;
  readonly #gateways: Gateways;
  /** A pipe being opened is stored as its promise; a rejected one is removed, so that the next ask opens anew. */
  readonly #links = new Map<string, Link>();
  /** By which of this node's routers the tracks of a home elsewhere come in, while this node is the gateway to it. */
  readonly #entrances = new Map<MediaNodeId, RouterId>();
  /** Homes of which a track is being asked for, and how many times at once. */
  readonly #asking = new Map<MediaNodeId, number>();
  /** Homes to which pipes lead past the gateway, until that is looked into. */
  readonly #bypassed = new Set<MediaNodeId>();
  #leaving = false;

  constructor(options: PipeLinksOptions) {
    this.#options = options;
    this.#gateways = new Gateways({
      roomId: options.roomId,
      ownNodeId: options.ownNodeId,
      datacenter: options.datacenter,
      gateways: options.gateways,
      timers: options.timers,
      onFault: options.onFault,
      onSuperseded: (homeNodeId) => {
        this.#superseded(homeNodeId);
      },
    });
  }

  get size(): number {
    return this.#links.size;
  }

  /**
   * Makes a track consumable on a router and holds it there; on its own home router that costs nothing. A track of another
   * datacenter comes through this one's gateway, which this node may be itself (SPEC GW2).
   * @param onSuperseded - called when the track should come another way: hold it anew, then release this hold (GW6)
   * @throws PlenaryError `track_not_found`, `media_unavailable`, `media_lost`, `timed_out`
   */
  async hold(
    router: RoomRouter,
    track: TrackOrigin,
    onSuperseded: () => void = () => undefined,
  ): Promise<TrackHold> {
    const endInterest = this.#interest(track.homeNodeId);
    try {
      return await this.#holdThroughGateway(router, track, onSuperseded);
    } finally {
      endInterest();
    }
  }

  async #holdThroughGateway(
    router: RoomRouter,
    track: TrackOrigin,
    onSuperseded: () => void,
  ): Promise<TrackHold> {
    for (let attempt = 1; ; attempt += 1) {
      const gateway = await this.#gatewayTo(track.homeNodeId);
      try {
        const source = await this.#source(router, track, gateway);
        return await this.#holdFrom(router, track, source, 'viewer', onSuperseded);
      } catch (thrown) {
        const isRelayed = gateway !== undefined && gateway.mediaNodeId !== this.#options.ownNodeId;
        if (!isRelayed || attempt === MAX_SOURCES || !GATEWAY_FAILURES.has(toPlenaryError(thrown).code))
          throw thrown;
        await this.#gateways.failed(track.homeNodeId, gateway.epoch);
      }
    }
  }

  /**
   * Holds a track on a router for another pipe: its own home's, or, at the gateway, straight from the home. Never through
   * another gateway, or two that each take the other for it would wait for each other.
   * @throws PlenaryError `track_not_found`; `media_lost` when this node is not the gateway
   */
  async holdForPipe(router: RoomRouter, track: TrackOrigin, onSuperseded: () => void): Promise<TrackHold> {
    if (track.homeNodeId === this.#options.ownNodeId) return this.#options.holdHome(track.trackId, 'pipe');
    if ((await this.relayRouter(track.homeNodeId)) !== router.id)
      throw new PlenaryError('media_lost', 'Not the gateway to the home of this track.');
    return this.#holdFrom(router, track, await this.#home(track), 'pipe', onSuperseded);
  }

  /** By which router of this node tracks of a node elsewhere come in, while this node is the gateway to it. */
  async relayRouter(homeNodeId: MediaNodeId): Promise<RouterId | undefined> {
    if (this.#leaving) return undefined;
    return (await this.#gateways.isOwn(homeNodeId)) ? this.#entrances.get(homeNodeId) : undefined;
  }

  /** This node is going: it is the gateway of nobody any more, and pulls what it still needs straight from its home. */
  leave(): void {
    this.#leaving = true;
    for (const link of this.#links.values()) {
      this.#whenOpen(link.opening, (open) => {
        open.endSoon();
      });
    }
  }

  /** The node stays after all, and may be a gateway again: what it pulled past one meanwhile is to come through it. */
  stay(): void {
    this.#leaving = false;
    for (const { isBypass, homeNodeId } of this.#links.values())
      if (isBypass) this.#endBypassLater(homeNodeId);
  }

  /** The home of a track told of it. */
  producerChanged(key: RouterPair, trackId: TrackId, state: ProducerState): void {
    this.#withLink(key, (link) => {
      link.producerChanged(trackId, state);
    });
  }

  /** The gateway at the other end wants to be no longer what tracks of a home come through (SPEC GW6). */
  movedByGateway(key: RouterPair, homeNodeId: MediaNodeId): void {
    const nodeId = this.#links.get(nameOf(key.fromRouterId, key.toRouterId))?.nodeId;
    const forgetGateway = nodeId === undefined ? Promise.resolve() : this.#gateways.left(homeNodeId, nodeId);
    inBackground(() =>
      forgetGateway.then(
        () => {
          this.#withLink(key, (link) => {
            link.supersede(homeNodeId);
          });
        },
        (error: unknown) => {
          this.#options.onFault('gateway.left', error);
        },
      ),
    );
  }

  /** The home side of a pipe is gone. */
  closedByHome(key: RouterPair): void {
    this.#withLink(key, (link) => {
      link.close('home_closed');
    });
  }

  close(): void {
    for (const link of this.#links.values()) {
      this.#whenOpen(link.opening, (open) => {
        open.close('node_stopping');
      });
    }
  }

  /** The open pipes, for tests. */
  async open(): Promise<readonly PipeLink[]> {
    return Promise.all([...this.#links.values()].map((link) => link.opening));
  }

  /** The gateway that tracks of a home come through; `undefined` for a home of this datacenter. */
  async #gatewayTo(homeNodeId: MediaNodeId): Promise<Gateway | undefined> {
    if (await this.#isStraight(homeNodeId)) return undefined;
    return this.#gateways.find(homeNodeId);
  }

  /** Whether tracks of a home come without a gateway. */
  async #isStraight(homeNodeId: MediaNodeId): Promise<boolean> {
    return this.#leaving || !(await this.#isElsewhere(homeNodeId));
  }

  /** Whether a home is of another datacenter. */
  async #isElsewhere(homeNodeId: MediaNodeId): Promise<boolean> {
    const { ownNodeId, datacenter, nodes } = this.#options;
    return homeNodeId !== ownNodeId && (await nodes.datacenterOf(homeNodeId)) !== datacenter;
  }

  /** Sees to it that pipes past the gateway end when somebody can be the gateway again (SPEC GW5). */
  #endBypassLater(homeNodeId: MediaNodeId): void {
    if (this.#bypassed.has(homeNodeId)) return;
    this.#bypassed.add(homeNodeId);
    this.#options.timers.after(GATEWAY_CHECK_MS, () => {
      this.#bypassed.delete(homeNodeId);
      this.#endBypass(homeNodeId).catch(
        entry('background', (error: unknown) => {
          this.#options.onFault('gateway.bypass', error);
        }),
      );
    });
  }

  /** What comes past the gateway is to come through it, make-before-break. */
  async #endBypass(homeNodeId: MediaNodeId): Promise<void> {
    const bypasses = (): Link[] =>
      [...this.#links.values()].filter((link) => link.isBypass && link.homeNodeId === homeNodeId);
    if (this.#leaving || bypasses().length === 0) return;
    const endInterest = this.#interest(homeNodeId);
    try {
      if ((await this.#gateways.find(homeNodeId)) === undefined) {
        this.#endBypassLater(homeNodeId);
        return;
      }
      for (const link of bypasses()) {
        link.isBypass = false;
        this.#whenOpen(link.opening, (open) => {
          open.supersede(homeNodeId);
        });
      }
    } finally {
      endInterest();
    }
  }

  async #source(router: RoomRouter, track: TrackOrigin, gateway: Gateway | undefined): Promise<Source> {
    const { ownNodeId, timers, gatewayPatienceMs } = this.#options;
    if (gateway === undefined) {
      const isBypass = await this.#isElsewhere(track.homeNodeId);
      return { ...(await this.#home(track)), isBypass };
    }
    if (gateway.mediaNodeId === ownNodeId) {
      const entrance = this.#entrances.get(track.homeNodeId) ?? router.id;
      this.#entrances.set(track.homeNodeId, entrance);
      return entrance === router.id ? this.#home(track) : { routerId: entrance };
    }
    const relay = this.#relay(track.homeNodeId, gateway);
    // A gateway that is slow is not waited for longer; it goes on then.
    const source = await atMost(timers, gatewayPatienceMs, relay);
    if (source !== undefined) return source;
    relay.catch(
      entry('background', (thrown: unknown) => {
        if (!GATEWAY_FAILURES.has(toPlenaryError(thrown).code)) return;
        this.#gateways.failed(track.homeNodeId, gateway.epoch).catch(
          entry('background', (error: unknown) => {
            this.#options.onFault('gateway.failed', error);
          }),
        );
      }),
    );
    return { ...(await this.#home(track)), isBypass: true };
  }

  /** What a gateway relays tracks of a home by. @throws PlenaryError `media_unavailable`, `timed_out`, `media_lost` */
  async #relay(homeNodeId: MediaNodeId, gateway: Gateway): Promise<Source> {
    const { nodes, roomId } = this.#options;
    const node = await nodes.find(gateway.mediaNodeId);
    const routerId = await node.relay(roomId, homeNodeId);
    if (routerId === null) throw new PlenaryError('media_lost', `${node.mediaNodeId} is no gateway.`);
    return { node, routerId, gateway };
  }

  /** The home itself. @throws PlenaryError `track_not_found`, `media_unavailable`, `timed_out` */
  async #home(track: TrackOrigin): Promise<Source> {
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
    source: Source,
    holder: HolderKind,
    onSuperseded: () => void,
  ): Promise<TrackHold> {
    if (source.node === undefined && source.routerId === router.id)
      return this.#options.holdHome(track.trackId, holder);
    const link = await this.#link(router, source, track.homeNodeId);
    return link.hold(track, holder, onSuperseded);
  }

  #link(router: RoomRouter, source: Source, homeNodeId: MediaNodeId): Promise<PipeLink> {
    const name = nameOf(router.id, source.routerId);
    const known = this.#links.get(name);
    if (known !== undefined) return known.opening;
    const opening = this.#openLink(router, source, name, homeNodeId);
    const isBypass = source.isBypass === true;
    this.#links.set(name, { homeNodeId, nodeId: source.node?.mediaNodeId, isBypass, opening });
    if (isBypass) this.#endBypassLater(homeNodeId);
    opening.catch(
      entry('background', () => {
        // Answered to everybody who waits for it; here it is only forgotten.
        if (this.#links.get(name)?.opening === opening) this.#forget(name);
      }),
    );
    return opening;
  }

  /** @param noted - resolves when what the pipe's end says of the gateway is known */
  #forget(name: string, noted = Promise.resolve()): void {
    const link = this.#links.get(name);
    if (link === undefined) return;
    this.#links.delete(name);
    inBackground(() =>
      noted.then(
        () => {
          this.#tidy(link.homeNodeId);
        },
        (error: unknown) => {
          this.#options.onFault('gateway.failed', error);
        },
      ),
    );
  }

  /** Counts who is asking for tracks of a home: a claim must not be given up under them. */
  #interest(homeNodeId: MediaNodeId): () => void {
    this.#asking.set(homeNodeId, (this.#asking.get(homeNodeId) ?? 0) + 1);
    return () => {
      const left = (this.#asking.get(homeNodeId) ?? 1) - 1;
      if (left > 0) this.#asking.set(homeNodeId, left);
      else this.#asking.delete(homeNodeId);
      this.#tidy(homeNodeId);
    };
  }

  /** With the last pipe to a home, this node's part as the gateway to it ends. */
  #tidy(homeNodeId: MediaNodeId): void {
    if (this.#asking.has(homeNodeId)) return;
    if ([...this.#links.values()].some((link) => link.homeNodeId === homeNodeId)) return;
    this.#entrances.delete(homeNodeId);
    this.#gateways.release(homeNodeId).catch(
      entry('background', (error: unknown) => {
        this.#options.onFault('gateway.release', error);
      }),
    );
  }

  /** Another node is the gateway to a home now: what comes straight from there is to come through it (SPEC GW6). */
  #superseded(homeNodeId: MediaNodeId): void {
    this.#options.logger.info(
      { roomId: this.#options.roomId, homeNodeId },
      'another node is the gateway now',
    );
    this.#entrances.delete(homeNodeId);
    for (const link of this.#links.values()) {
      this.#whenOpen(link.opening, (open) => {
        open.supersede(homeNodeId);
      });
    }
  }

  async #openLink(
    router: RoomRouter,
    source: Source,
    name: string,
    homeNodeId: MediaNodeId,
  ): Promise<PipeLink> {
    const { roomId, acquireRouter, metrics, timers, lingerMs, logger, lines, onFault } = this.#options;
    const key: PipeKey = { roomId, fromRouterId: router.id, toRouterId: source.routerId };
    const { node, gateway } = source;
    const path = node === undefined ? WITHIN_NODE : await this.#pathTo(node);
    const lease = await acquireRouter(router.workerIndex);
    if (lease.router.id !== router.id) {
      lease.release();
      throw new PlenaryError('media_lost');
    }
    let link: PipeLink | undefined;
    let linkBroken = false;
    const letGo = node?.hold(() => {
      linkBroken = true;
      link?.close('link_broken');
    });
    try {
      link = await PipeLink.open({
        home: node === undefined ? this.#options.localHomeSide(key, this.#asker()) : node.homeSide(key),
        toRouterId: source.routerId,
        isRelayed: gateway !== undefined,
        lease,
        ...path,
        machineId: this.#options.origin.machine.id,
        metrics,
        timers,
        lingerMs,
        onFault,
        onClosed: (reason) => {
          letGo?.();
          // Whoever asks next for a track of this home need not find out anew that its gateway is gone.
          const hasFailed = gateway !== undefined && (reason === 'link_broken' || reason === 'home_closed');
          const noted = hasFailed ? this.#gateways.failed(homeNodeId, gateway.epoch) : Promise.resolve();
          this.#forget(name, noted);
          logger.info({ ...key, reason }, 'pipe closed');
        },
        onSilent: () => {
          metrics.errors.inc({ where: 'pipe.silent', code: 'media_unavailable' });
          lines.say(
            'pipe.silent',
            (...unsaid) => {
              logger.warn(
                {
                  ...key,
                  node: node?.mediaNodeId,
                  homeNodeId,
                  ...path,
                  toDo: SILENT_ADVICE,
                  ...leftOut(...unsaid),
                },
                'nothing comes through a pipe: people here do not see or hear those behind it',
              );
            },
            node?.mediaNodeId,
          );
        },
      });
    } catch (error) {
      letGo?.();
      throw error;
    }
    logger.info({ ...key, node: node?.mediaNodeId ?? 'this node', homeNodeId }, 'pipe opened');
    if (linkBroken) link.close('link_broken');
    return link;
  }

  async #pathTo(node: RemoteNode): Promise<PipePath> {
    const { origin, datacenter, nodes } = this.#options;
    return pathBetween({ ...origin, datacenter }, node, await nodes.datacenterOf(node.mediaNodeId));
  }

  #asker(): PipeAsker {
    return {
      isLocal: true,
      holdPipe: () => () => undefined,
      producerChanged: (key, trackId, state) => {
        this.producerChanged(key, trackId, state);
      },
      closed: (key) => {
        this.closedByHome(key);
      },
      moved: (key, homeNodeId) => {
        this.movedByGateway(key, homeNodeId);
      },
    };
  }

  #withLink(key: RouterPair, action: (link: PipeLink) => void): void {
    const link = this.#links.get(nameOf(key.fromRouterId, key.toRouterId));
    if (link !== undefined) this.#whenOpen(link.opening, action);
  }

  #whenOpen(opening: Promise<PipeLink>, action: (link: PipeLink) => void): void {
    opening
      .then(action, () => undefined)
      .catch(
        entry('background', (error: unknown) => {
          this.#options.onFault('pipe.notice', error);
        }),
      );
  }
}

const SILENT_ADVICE =
  'see on both nodes whether PLENARY_PIPE_ADDRESS, or else PLENARY_ANNOUNCED_ADDRESS, is the address that the other one reaches, and that UDP to the ports of the slices passes between them';

const WITHIN_NODE = { reach: 'loopback', srtp: false } as const;

const nameOf = (fromRouterId: RouterId, toRouterId: RouterId): string => `${fromRouterId}>${toRouterId}`;
