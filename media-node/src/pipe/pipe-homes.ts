import { PlenaryError, inBackground } from '@plenary/cluster';
import type { MediaNodeId, PipeEnd, RouterId, TrackId, TrackOrigin, WantedLayer } from '@plenary/cluster';
import type { NodeMetrics } from '../metrics.ts';
import type { RouterLease } from '../room/room-routers.ts';
import type { HomeSide, PipeApproach, PipeRequester, PipedTrack, PipeKey } from './home-side.ts';
import { UNKNOWN_MACHINE } from './machine.ts';
import type { Machine } from './machine.ts';
import { PipeHome } from './pipe-home.ts';
import type { PipeSource } from './pipe-home.ts';

interface Entry {
  readonly requester: PipeRequester;
  readonly opening: Promise<PipeHome>;
  /** Set once it is open. */
  home?: PipeHome;
}

/** The home sides of a room's pipes on this node, one per pair of routers. */
export class PipeHomes {
  readonly #ownNodeId: MediaNodeId;
  readonly #metrics: NodeMetrics;
  readonly #acquireRouter: (routerId: RouterId) => Promise<RouterLease>;
  readonly #holdAt: PipeSource;
  readonly #machine: Machine;
  readonly #homes = new Map<string, Entry>();

  /**
   * @param holdAt - keeps a track on a router while it is sent into a pipe
   * @param machine - this node's machine: packets from other machines must be encrypted
   */
  constructor(
    ownNodeId: MediaNodeId,
    metrics: NodeMetrics,
    acquireRouter: (routerId: RouterId) => Promise<RouterLease>,
    holdAt: PipeSource,
    machine: Machine = UNKNOWN_MACHINE,
  ) {
    this.#ownNodeId = ownNodeId;
    this.#metrics = metrics;
    this.#acquireRouter = acquireRouter;
    this.#holdAt = holdAt;
    this.#machine = machine;
  }

  get size(): number {
    return this.#homes.size;
  }

  /**
   * Opens a home side. A repeat for the same pair of routers replaces the old one, which the pulling side has
   * forgotten.
   * @throws PlenaryError `track_not_found` when the router is closed, `media_lost`, `rate_limited`
   */
  async open(
    key: PipeKey,
    approach: PipeApproach,
    reach: 'loopback' | 'announced',
    requester: PipeRequester,
  ): Promise<PipeEnd> {
    const name = nameOf(key);
    const old = this.#homes.get(name);
    if (old !== undefined) closeWhenOpen(old, 'replaced');
    const opening = this.#open(key, approach, reach, requester);
    const entry: Entry = { requester, opening };
    this.#homes.set(name, entry);
    try {
      const home = await opening;
      if (this.#homes.get(name) !== entry)
        throw new PlenaryError('media_lost', 'The pipe was closed meanwhile.');
      entry.home = home;
      return home.end;
    } catch (error) {
      if (this.#homes.get(name) === entry) this.#homes.delete(name);
      throw error;
    }
  }

  /** @throws PlenaryError `track_not_found`, `media_lost` when there is no such pipe */
  async consume(key: PipeKey, track: TrackOrigin): Promise<PipedTrack> {
    return (await this.#home(key)).consume(track);
  }

  /** @throws PlenaryError `media_lost` when there is no such pipe */
  async setWanted(key: PipeKey, trackId: TrackId, wanted: WantedLayer): Promise<void> {
    await (await this.#home(key)).setWanted(trackId, wanted);
  }

  /** RTP bytes sent into a pipe so far. @throws PlenaryError `media_lost` when there is no such pipe */
  async sentBytes(key: PipeKey): Promise<number> {
    return (await this.#home(key)).sentBytes();
  }

  /** Takes a track out of a pipe. A missing track or pipe is no error. */
  async release(key: PipeKey, trackId: TrackId): Promise<void> {
    if (this.#homes.has(nameOf(key))) (await this.#home(key)).release(trackId);
  }

  /** Closes a pipe, even while it is being opened. A missing pipe is no error. */
  close(key: PipeKey): void {
    const name = nameOf(key);
    const entry = this.#homes.get(name);
    if (entry === undefined) return;
    this.#homes.delete(name);
    closeWhenOpen(entry, 'requested');
  }

  /** Whether this node relays tracks of other nodes to further nodes. */
  get isRelaying(): boolean {
    return this.#relayed().length > 0;
  }

  /** Asks all nodes that get tracks of other nodes through this one to take another path. */
  requestMoves(): void {
    for (const { home, homeNodeId } of this.#relayed()) home.requestMove(homeNodeId);
  }

  #relayed(): readonly { readonly home: PipeHome; readonly homeNodeId: MediaNodeId }[] {
    return [...this.#homes.values()].flatMap(({ home }) =>
      home === undefined || home.requester.isLocal
        ? []
        : [...home.homes]
            .filter((homeNodeId) => homeNodeId !== this.#ownNodeId)
            .map((homeNodeId) => ({ home, homeNodeId })),
    );
  }

  /** Closes the pipes of a pulling side whose link closed: no request would close them any more. */
  requesterGone(requester: PipeRequester): void {
    for (const [name, entry] of this.#homes) {
      if (entry.requester !== requester) continue;
      this.#homes.delete(name);
      closeWhenOpen(entry, 'requester_gone');
    }
  }

  /** The home side for two routers of this node: the pulling side calls it directly. */
  localSide(key: PipeKey, requester: PipeRequester): HomeSide {
    return {
      open: (approach) => this.open(key, approach, 'loopback', requester),
      consume: (track) => this.consume(key, track),
      setWanted: (trackId, wanted) => this.setWanted(key, trackId, wanted),
      release: (trackId) => this.release(key, trackId),
      sentBytes: () => this.sentBytes(key),
      close: () => {
        this.close(key);
        return Promise.resolve();
      },
    };
  }

  async #open(
    key: PipeKey,
    approach: PipeApproach,
    reach: 'loopback' | 'announced',
    requester: PipeRequester,
  ): Promise<PipeHome> {
    const endHold = requester.holdPipe();
    const lease = await this.#acquireRouter(key.toRouterId).catch((fault: unknown) => {
      endHold();
      throw fault;
    });
    const home: PipeHome = await PipeHome.open({
      key,
      approach,
      machine: this.#machine,
      reach,
      requester,
      lease,
      holdAt: this.#holdAt,
      metrics: this.#metrics,
      onClosed: () => {
        endHold();
        const name = nameOf(key);
        const entry = this.#homes.get(name);
        if (entry?.requester === requester) inBackground(() => this.#forget(name, entry));
      },
    });
    return home;
  }

  /** Removes an entry once its home is closed; a newer entry of the same pair stays. */
  async #forget(name: string, entry: Entry): Promise<void> {
    const [opened] = await Promise.allSettled([entry.opening]);
    const gone = opened.status === 'rejected' || opened.value.closed;
    if (gone && this.#homes.get(name) === entry) this.#homes.delete(name);
  }

  async #home(key: PipeKey): Promise<PipeHome> {
    const entry = this.#homes.get(nameOf(key));
    if (entry === undefined) throw new PlenaryError('media_lost', 'There is no such pipe.');
    return entry.opening;
  }
}

const nameOf = (key: PipeKey): string => `${key.fromRouterId}>${key.toRouterId}`;

function closeWhenOpen(entry: Entry, reason: 'requested' | 'replaced' | 'requester_gone'): void {
  inBackground(() =>
    entry.opening.then(
      (home) => {
        home.close(reason);
      },
      () => undefined, // The request that opened it got the error; there is nothing to close.
    ),
  );
}
