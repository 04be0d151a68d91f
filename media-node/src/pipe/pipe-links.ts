import { PlenaryError, announcedOf, sharedFamily } from '@plenary/cluster';
import type {
  AddressFamily,
  AnnouncedAddresses,
  Logger,
  MediaNodeId,
  RoomId,
  RouterId,
  TrackHome,
  TrackId,
} from '@plenary/cluster';
import type { RoomRouter } from '../engine/room-router.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { Timers } from '../room/timers.ts';
import type { HomeSide, PipeAsker, PipeKey, ProducerState, RemoteNode, RemoteNodes } from './home-side.ts';
import { PipeLink } from './pipe-link.ts';
import type { TrackHold } from './pulled-track.ts';

export interface PipeLinksOptions {
  readonly roomId: RoomId;
  readonly ownNodeId: MediaNodeId;
  readonly ownAddresses: AnnouncedAddresses;
  readonly nodes: RemoteNodes;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  readonly timers: Timers;
  readonly lingerMs: number;
  /** The router that hosts a track of this node. */
  readonly homeRouterOf: (trackId: TrackId) => RouterId | undefined;
  /** The home side of a pipe between two routers of this node. */
  readonly localHomeSide: (key: PipeKey, asker: PipeAsker) => HomeSide;
  readonly acquireRouter: (workerIndex: number) => Promise<RouterLease>;
  readonly onFault: (where: string, thrown: unknown) => void;
}

interface Home {
  readonly routerId: RouterId;
  /** Absent when the home is this node. */
  readonly node?: RemoteNode;
}

/** The pipes of a room that this node asked for, one per pair of routers. */
export class PipeLinks {
  readonly #options: PipeLinksOptions;
  /** A pipe being opened is stored as its promise; a rejected one is removed, so that the next ask opens anew. */
  readonly #links = new Map<string, { readonly toRouterId: RouterId; readonly opening: Promise<PipeLink> }>();

  constructor(options: PipeLinksOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#links.size;
  }

  /**
   * Makes a track consumable on a router and holds it there; on its own home router that costs nothing.
   * @throws PlenaryError `track_not_found`, `media_unavailable`, `media_lost`, `timed_out`
   */
  async hold(router: RoomRouter, track: TrackHome): Promise<TrackHold> {
    const home = await this.#locate(track);
    if (home.routerId === router.id) return HOME_HOLD;
    const link = await this.#link(router, home);
    return link.hold(track.trackId);
  }

  /** The home of a track told of it. */
  producerChanged(trackId: TrackId, state: ProducerState): void {
    for (const link of this.#links.values()) {
      this.#whenOpen(link.opening, (open) => {
        open.producerChanged(trackId, state);
      });
    }
  }

  /** The home side of a pipe is gone. */
  closedByHome(key: Pick<PipeKey, 'fromRouterId' | 'toRouterId'>): void {
    const link = this.#links.get(nameOf(key.fromRouterId, key.toRouterId));
    if (link === undefined) return;
    this.#whenOpen(link.opening, (open) => {
      open.close('home_closed');
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

  async #locate(track: TrackHome): Promise<Home> {
    const { ownNodeId, homeRouterOf, nodes, roomId } = this.#options;
    if (track.homeNodeId === ownNodeId) {
      const routerId = homeRouterOf(track.trackId);
      if (routerId === undefined) throw new PlenaryError('track_not_found');
      return { routerId };
    }
    const node = await nodes.find(track.homeNodeId);
    return { node, routerId: await node.locate(roomId, track.trackId) };
  }

  #link(router: RoomRouter, home: Home): Promise<PipeLink> {
    const name = nameOf(router.id, home.routerId);
    const known = this.#links.get(name);
    if (known !== undefined) return known.opening;
    const opening = this.#openLink(router, home, name);
    this.#links.set(name, { toRouterId: home.routerId, opening });
    opening.catch(() => {
      // Answered to everybody who waits for it; here it is only forgotten.
      if (this.#links.get(name)?.opening === opening) this.#links.delete(name);
    });
    return opening;
  }

  async #openLink(router: RoomRouter, home: Home, name: string): Promise<PipeLink> {
    const { roomId, acquireRouter, metrics, timers, lingerMs, logger, onFault } = this.#options;
    const key: PipeKey = { roomId, fromRouterId: router.id, toRouterId: home.routerId };
    const { node } = home;
    const path = node === undefined ? WITHIN_NODE : pathBetween(this.#options.ownAddresses, node);
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
        lease,
        ...path,
        metrics,
        timers,
        lingerMs,
        onFault,
        onClosed: (reason) => {
          letGo?.();
          this.#links.delete(name);
          logger.info({ ...key, reason }, 'pipe closed');
        },
      });
    } catch (error) {
      letGo?.();
      throw error;
    }
    logger.info({ ...key, home: node?.mediaNodeId ?? 'this node' }, 'pipe opened');
    if (linkBroken) link.close('link_broken');
    return link;
  }

  #asker(): PipeAsker {
    return {
      producerChanged: (_key, trackId, state) => {
        this.producerChanged(trackId, state);
      },
      closed: (key) => {
        this.closedByHome(key);
      },
    };
  }

  #whenOpen(opening: Promise<PipeLink>, action: (link: PipeLink) => void): void {
    opening
      .then(action, () => undefined)
      .catch((error: unknown) => {
        this.#options.onFault('pipe.notice', error);
      });
  }
}

const WITHIN_NODE = { reach: 'loopback', srtp: false } as const;

/** @throws PlenaryError `media_unavailable` when the nodes have no family of addresses in common */
function pathBetween(
  own: AnnouncedAddresses,
  node: RemoteNode,
): { readonly reach: 'announced'; readonly family: AddressFamily; readonly srtp: boolean } {
  const family = sharedFamily(own, node.addresses);
  if (family === undefined) {
    throw new PlenaryError(
      'media_unavailable',
      `${node.mediaNodeId} and this node announce no addresses of one family.`,
    );
  }
  // Packets between two processes of one host cross no cable that anybody could listen on.
  const srtp = announcedOf(own, family) !== announcedOf(node.addresses, family);
  return { reach: 'announced', family, srtp };
}

const nameOf = (fromRouterId: RouterId, toRouterId: RouterId): string => `${fromRouterId}>${toRouterId}`;

/** A track on its own router: nothing to hold. */
const HOME_HOLD: TrackHold = { setWatching: () => undefined, release: () => undefined };
