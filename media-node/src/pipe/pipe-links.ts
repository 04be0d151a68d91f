import { guardCallback, leftOut, PlenaryError } from '@plenary/cluster';
import type { DatacenterId, Logger, MediaNodeId, RareLines, RoomId, Timers, TrackId } from '@plenary/cluster';
import type { RoomRouter } from '../engine/engine.ts';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type {
  HomeSide,
  PipeRequester,
  PipeKey,
  ProducerState,
  RemoteNode,
  RemoteNodes,
} from './home-side.ts';
import type { PipeCloseReason } from './close-reasons.ts';
import { PipeLink } from './pipe-link.ts';
import { pathBetween } from './pipe-path.ts';
import type { PipeOrigin, PipePath } from './pipe-path.ts';
import type { Upstream } from './upstream.ts';

export interface PipeLinksOptions {
  readonly roomId: RoomId;
  readonly datacenter: DatacenterId;
  readonly origin: Omit<PipeOrigin, 'datacenter'>;
  readonly nodes: Pick<RemoteNodes, 'datacenterOf'>;
  readonly metrics: NodeMetrics;
  readonly logger: Logger;
  /** Limits the log lines of one network fault, which each pipe would repeat. */
  readonly lines: Pick<RareLines, 'say'>;
  readonly timers: Timers;
  readonly lingerMs: number;
  /** Returns the home side of a pipe between two routers of this node. */
  readonly localHomeSide: (key: PipeKey, requester: PipeRequester) => HomeSide;
  readonly acquireRouter: (workerIndex: number) => Promise<RouterLease>;
  readonly onFault: (where: string, thrown: unknown) => void;
}

/** The two routers that a pipe connects. */
export type RouterPair = Pick<PipeKey, 'fromRouterId' | 'toRouterId'>;

/** A pipe of this node, from its request on. */
export interface OpenedLink {
  /** The home of the track that the pipe was opened for. */
  readonly homeNodeId: MediaNodeId;
  readonly upstream: Upstream;
  readonly opening: Promise<PipeLink>;
}

/** Receives the events of a pipe; passed by the caller that opens it. */
export interface PipeLinkListener {
  /** The pipe is removed: it closed, or could not be opened (then without a reason). */
  ended(link: OpenedLink, reason: PipeCloseReason | undefined): void;
  /** The other end, a router of this node, asks for another path for tracks of a home. */
  moved(pair: RouterPair, homeNodeId: MediaNodeId): void;
}

/**
 * The pipes of a room that this node asked for, one per pair of routers. Opens them, keeps them while a track is
 * pulled through them, and passes on the notices of their homes. `track-routes.ts` decides which routers a pipe
 * connects; `close-reasons.ts` says what ends it.
 */
export class PipeLinks {
  readonly #options: PipeLinksOptions;
  /**
   * A pipe that is being opened is stored as its promise; a rejected one is removed, so that the next request opens
   * it again.
   */
  readonly #links = new Map<string, OpenedLink>();

  constructor(options: PipeLinksOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#links.size;
  }

  all(): readonly OpenedLink[] {
    return [...this.#links.values()];
  }

  get(pair: RouterPair): OpenedLink | undefined {
    return this.#links.get(nameOf(pair));
  }

  /**
   * Returns the pipe between a router and an upstream, and opens it if there is none. An existing pipe keeps the
   * listener that it was opened with.
   * @returns a promise that rejects with `media_lost`, `track_not_found`, `timed_out` or `media_unavailable`
   */
  open(
    router: RoomRouter,
    upstream: Upstream,
    homeNodeId: MediaNodeId,
    listener: PipeLinkListener,
  ): Promise<PipeLink> {
    const pair = { fromRouterId: router.id, toRouterId: upstream.routerId };
    const known = this.get(pair);
    if (known !== undefined) return known.opening;
    const opening = this.#openLink(router, upstream, homeNodeId, listener);
    const link: OpenedLink = { homeNodeId, upstream, opening };
    this.#links.set(nameOf(pair), link);
    opening.catch(
      guardCallback('background', () => {
        // Each request that waits for the pipe gets the error; here the pipe is only removed.
        if (this.get(pair) === link) this.#forget(pair, listener, undefined);
      }),
    );
    return opening;
  }

  /** Applies a home's notice about a track. */
  producerChanged(pair: RouterPair, trackId: TrackId, state: ProducerState): void {
    this.#withOpen(pair, (link) => {
      link.producerChanged(trackId, state);
    });
  }

  /** The home side of a pipe closed. */
  closedByHome(pair: RouterPair): void {
    this.#withOpen(pair, (link) => {
      link.close('home_closed');
    });
  }

  /** Asks the holders of a home's tracks in these pipes to use another path (SPEC GW6). */
  supersede(links: Iterable<OpenedLink>, homeNodeId: MediaNodeId): void {
    for (const { opening } of links) {
      this.#whenOpen(opening, (link) => {
        link.supersede(homeNodeId);
      });
    }
  }

  /** From now on all tracks end with their last hold, without a linger. */
  endSoon(): void {
    for (const { opening } of this.#links.values()) {
      this.#whenOpen(opening, (link) => {
        link.endSoon();
      });
    }
  }

  close(): void {
    for (const { opening } of this.#links.values()) {
      this.#whenOpen(opening, (link) => {
        link.close('room_closed');
      });
    }
  }

  /** The open pipes, for tests. */
  async opened(): Promise<readonly PipeLink[]> {
    return Promise.all(this.all().map(({ opening }) => opening));
  }

  #forget(pair: RouterPair, listener: PipeLinkListener, reason: PipeCloseReason | undefined): void {
    const link = this.get(pair);
    if (link === undefined) return;
    this.#links.delete(nameOf(pair));
    listener.ended(link, reason);
  }

  async #openLink(
    router: RoomRouter,
    upstream: Upstream,
    homeNodeId: MediaNodeId,
    listener: PipeLinkListener,
  ): Promise<PipeLink> {
    const { roomId, acquireRouter, metrics, timers, lingerMs, logger, onFault, localHomeSide } =
      this.#options;
    const { node, gateway } = upstream;
    const key: PipeKey = { roomId, fromRouterId: router.id, toRouterId: upstream.routerId };
    const path = node === undefined ? WITHIN_NODE : await this.#pathTo(node);
    const lease = await acquireRouter(router.workerIndex);
    if (lease.router.id !== router.id) {
      lease.release();
      throw new PlenaryError('media_lost');
    }
    let link: PipeLink | undefined;
    let linkBroken = false;
    const releaseNode = node?.hold(() => {
      linkBroken = true;
      link?.close('link_broken');
    });
    try {
      link = await PipeLink.open({
        home: node === undefined ? localHomeSide(key, this.#localRequester(listener)) : node.homeSide(key),
        toRouterId: upstream.routerId,
        isRelayed: gateway !== undefined,
        lease,
        ...path,
        machineId: this.#options.origin.machine.id,
        metrics,
        timers,
        lingerMs,
        onFault,
        onClosed: (reason) => {
          releaseNode?.();
          this.#forget(key, listener, reason);
          logger.info({ ...key, reason }, 'pipe closed');
        },
        onSilent: () => {
          this.#noteSilent(key, node?.mediaNodeId, homeNodeId, path);
        },
      });
    } catch (error) {
      releaseNode?.();
      throw error;
    }
    logger.info({ ...key, node: node?.mediaNodeId ?? 'this node', homeNodeId }, 'pipe opened');
    if (linkBroken) link.close('link_broken');
    return link;
  }

  #noteSilent(
    key: PipeKey,
    node: MediaNodeId | undefined,
    homeNodeId: MediaNodeId,
    path: PipePath | typeof WITHIN_NODE,
  ): void {
    const { metrics, lines, logger } = this.#options;
    metrics.errors.inc({ where: 'pipe.silent', code: 'media_unavailable' });
    lines.say(
      'pipe.silent',
      (...unsaid) => {
        logger.warn(
          { ...key, node, homeNodeId, ...path, toDo: SILENT_ADVICE, ...leftOut(...unsaid) },
          'nothing comes through a pipe: peers here neither see nor hear those behind it',
        );
      },
      node,
    );
  }

  async #pathTo(node: RemoteNode): Promise<PipePath> {
    const { origin, datacenter, nodes } = this.#options;
    return pathBetween({ ...origin, datacenter }, node, await nodes.datacenterOf(node.mediaNodeId));
  }

  /** The pulling side of a pipe within this node, as its home side calls it. */
  #localRequester(listener: PipeLinkListener): PipeRequester {
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
        listener.moved(key, homeNodeId);
      },
    };
  }

  #withOpen(pair: RouterPair, action: (link: PipeLink) => void): void {
    const link = this.get(pair);
    if (link !== undefined) this.#whenOpen(link.opening, action);
  }

  /**
   * Runs an action once the pipe is open. A pipe that cannot be opened needs none: the waiting requests get the
   * error.
   */
  #whenOpen(opening: Promise<PipeLink>, action: (link: PipeLink) => void): void {
    opening
      .then(action, () => undefined)
      .catch(
        guardCallback('background', (error: unknown) => {
          this.#options.onFault('pipe.notice', error);
        }),
      );
  }
}

const SILENT_ADVICE =
  'check on both nodes that PLENARY_PIPE_ADDRESS, or else PLENARY_ANNOUNCED_ADDRESS, is an address that the other node reaches, and that UDP to the ports of both slices passes between them';

const WITHIN_NODE = { reach: 'loopback', srtp: false } as const;

const nameOf = ({ fromRouterId, toRouterId }: RouterPair): string => `${fromRouterId}>${toRouterId}`;
