import { PlenaryError } from '@plenary/cluster';
import type { MediaNodeRecord } from '@plenary/cluster';
import type { Incarnation, MediaNodeId } from '@plenary/cluster/ids';
import { NODE_LOST_AFTER_MS } from './link-trouble.ts';
import type { ControlLink, ControlLinkListener } from './control-link.ts';
import type { LinkLoss, LinkTrouble } from './link-trouble.ts';

/** The part of a link for callers that send requests to media nodes. */
export type MediaNodeLink = Pick<ControlLink, 'mediaNodeId' | 'incarnation' | 'isUp' | 'call'>;

/** The part of a link for its owner. */
export type OwnedLink = MediaNodeLink &
  Pick<ControlLink, 'controlUrl' | 'downForMs' | 'whenUp' | 'isAwaited' | 'close'> &
  Partial<Pick<ControlLink, 'trouble' | 'clockOffsetMs'>>;

/** The links to the media nodes, for callers that send requests. */
export interface MediaLinks {
  get(mediaNodeId: MediaNodeId): MediaNodeLink | undefined;
  /**
   * Returns the link to a node once it is up. Fails at once if the link has already been down for longer than `withinMs`, or its
   * node counts as lost (SPEC CL3). Connects now to a node that waits for its turn (SPEC CL13).
   * @throws PlenaryError `media_unavailable` if there is no link, or it is not up within `withinMs`
   */
  reach(mediaNodeId: MediaNodeId, withinMs: number): Promise<MediaNodeLink>;
  /** The media nodes that count as lost, or whose links have been down for `downForMs`; the registry may still announce them. */
  lost(downForMs: number): MediaNodeId[];
}

/** How long a node that is not announced may be unreachable before its link is closed, in milliseconds. */
const FORGET_AFTER_MS = 30_000;

/** How long all links that were up may be down before the edge takes no new clients, in milliseconds. */
const UNUSABLE_AFTER_MS = 3_000;

/**
 * Links at a time to nodes that never proved themselves. An attacker who can write to the registry can announce any number of
 * nodes; trying all of them each second would exhaust the edge's CPU and file descriptors.
 */
const MAX_UNPROVEN = 64;
/** How long an unproven node is tried before its place goes to a waiting one, in milliseconds. */
const TRIED_FOR_MS = 5_000;

export interface ControlLinksOptions<Link extends OwnedLink> {
  /** Makes the link to a node, which reconnects automatically and notifies its listener. */
  readonly open: (
    node: Pick<MediaNodeRecord, 'mediaNodeId' | 'controlUrl'>,
    listener: ControlLinkListener,
  ) => Link;
  readonly listener: ControlLinkListener;
  /** Called with the numbers of links that are up and down, whenever they may have changed. */
  readonly count: (links: { readonly up: number; readonly down: number }) => void;
}

/**
 * One link to each media node. A node that is no longer announced keeps its link while the link works, because a loss of the
 * store is no loss of the node.
 */
export class ControlLinks<Link extends OwnedLink> implements MediaLinks {
  readonly #options: ControlLinksOptions<Link>;
  readonly #links = new Map<MediaNodeId, Link>();
  /** Why links are down that were up. */
  readonly #losses = new WeakMap<Pick<Link, 'mediaNodeId'>, LinkLoss>();
  /** Links that are or were up, and the links that replaced them. */
  readonly #usable = new WeakSet<Pick<Link, 'mediaNodeId'>>();
  /** The incarnation of its node that each link was last opened for or seen with. */
  readonly #incarnations = new WeakMap<Link, Incarnation>();
  /** Announced nodes that wait for their turn to be connected to, in the order of their turns. */
  #waiting = new Map<MediaNodeId, MediaNodeRecord>();
  /** Nodes that already had a turn, the latest last. */
  readonly #tried = new Set<MediaNodeId>();
  readonly #upListeners: ((mediaNodeId: MediaNodeId) => void)[] = [];

  constructor(options: ControlLinksOptions<Link>) {
    this.#options = options;
  }

  /**
   * Opens links to announced nodes, and closes links to nodes that are gone. Replaces the link of a restarted node at once, because
   * the old link pauses longer and longer between attempts and its node counts as lost meanwhile (SPEC CL11).
   */
  reconcile(nodes: readonly MediaNodeRecord[]): void {
    const announced = new Set(nodes.map(({ mediaNodeId }) => mediaNodeId));
    for (const node of nodes) {
      const link = this.#links.get(node.mediaNodeId);
      if (link !== undefined && !this.#isCurrent(node, link)) this.#replace(node, link);
    }
    this.#openInTurn(nodes, announced);
    for (const [mediaNodeId, link] of this.#links) {
      if (announced.has(mediaNodeId) || link.downForMs() < FORGET_AFTER_MS) continue;
      this.#links.delete(mediaNodeId);
      link.close();
    }
    this.#count();
  }

  /** Opens links to all nodes without one, or in turns if very many unproven nodes are announced (SPEC CL12). */
  #openInTurn(nodes: readonly MediaNodeRecord[], announced: ReadonlySet<MediaNodeId>): void {
    const unlinked = (): MediaNodeRecord[] =>
      nodes.filter(({ mediaNodeId }) => !this.#links.has(mediaNodeId));
    if (unlinked().length > this.#freePlaces()) this.#endTurns(announced);
    const turns = new Map([...this.#tried].map((mediaNodeId, turn) => [mediaNodeId, turn]));
    // The order is random among nodes without a turn so far, because an attacker can choose the names of nodes.
    const inTurn = unlinked()
      .map((node) => ({ node, turn: turns.get(node.mediaNodeId) ?? -1, chance: Math.random() }))
      .sort((left, right) => left.turn - right.turn || left.chance - right.chance)
      .map(({ node }) => node);
    this.#waiting = new Map(inTurn.map((node) => [node.mediaNodeId, node]));
    this.#fillFreePlaces();
    for (const mediaNodeId of this.#tried) if (!announced.has(mediaNodeId)) this.#tried.delete(mediaNodeId);
  }

  /** Opens links to the next nodes in turn; also between two reads of the registry, when links that come up free places. */
  #fillFreePlaces(): void {
    for (const node of [...this.#waiting.values()].slice(0, this.#freePlaces())) this.#openWaiting(node);
  }

  #openWaiting(node: MediaNodeRecord): Link {
    this.#waiting.delete(node.mediaNodeId);
    return this.#replace(node, undefined);
  }

  #freePlaces(): number {
    return Math.max(0, MAX_UNPROVEN - this.#unproven().length);
  }

  /** Closes unproven links whose time is over and that no request waits for, and those whose nodes are no longer announced. */
  #endTurns(announced: ReadonlySet<MediaNodeId>): void {
    for (const link of this.#unproven()) {
      const { mediaNodeId } = link;
      if (announced.has(mediaNodeId) && (link.isAwaited || link.downForMs() < TRIED_FOR_MS)) continue;
      this.#links.delete(mediaNodeId);
      this.#tried.delete(mediaNodeId);
      this.#tried.add(mediaNodeId);
      link.close();
    }
  }

  #replace(node: MediaNodeRecord, link: Link | undefined): Link {
    link?.close();
    const next = this.#open(node);
    if (link !== undefined && this.#usable.has(link)) this.#usable.add(next);
    this.#incarnations.set(next, node.incarnation);
    this.#links.set(node.mediaNodeId, next);
    return next;
  }

  #unproven(): readonly Link[] {
    return this.all().filter((link) => !link.isUp && !this.#usable.has(link));
  }

  #isCurrent({ controlUrl, incarnation }: MediaNodeRecord, link: Link): boolean {
    if (!link.isUp) return link.controlUrl === controlUrl && this.#incarnations.get(link) === incarnation;
    // The node has proved itself. The registry proves nothing, so a forged record must not cut a working link.
    this.#incarnations.set(link, incarnation);
    return true;
  }

  /** Calls the listener whenever a link comes up. */
  onLinkUp(listener: (mediaNodeId: MediaNodeId) => void): void {
    this.#upListeners.push(listener);
  }

  all(): readonly Link[] {
    return [...this.#links.values()];
  }

  get(mediaNodeId: MediaNodeId): Link | undefined {
    return this.#links.get(mediaNodeId);
  }

  /**
   * Returns the link to a node once it is up; see {@link MediaLinks.reach}.
   * @throws PlenaryError `media_unavailable` if there is no link, or it is not up within `withinMs`
   */
  async reach(mediaNodeId: MediaNodeId, withinMs: number): Promise<Link> {
    const waiting = this.#waiting.get(mediaNodeId);
    const link = waiting === undefined ? this.#links.get(mediaNodeId) : this.#openWaiting(waiting);
    if (link === undefined || !(await link.whenUp(this.#waitLimitMs(link, withinMs) - link.downForMs()))) {
      throw new PlenaryError('media_unavailable', `There is no control link to ${mediaNodeId}.`);
    }
    return link;
  }

  unusable(): readonly LinkTrouble[] | undefined {
    const links = this.all();
    if (links.length === 0 || links.some((link) => this.#mayComeBack(link))) return undefined;
    return [...new Set(links.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble])))].sort();
  }

  /** How far the clock of this edge is ahead of each media node's, in milliseconds; only nodes that sent their time. */
  clockOffsetsMs(): readonly number[] {
    return this.all().flatMap(({ clockOffsetMs }) => (clockOffsetMs === undefined ? [] : [clockOffsetMs]));
  }

  /** Whether any link is or was up. If so, a later loss of all links is as likely the nodes' fault as this edge's. */
  wasUsable(): boolean {
    return this.all().some((link) => this.#usable.has(link));
  }

  /** Whether a link is up or may soon be up again: a node's restart or a short network fault does not make this edge unusable. */
  #mayComeBack(link: Link): boolean {
    return link.isUp || (this.#usable.has(link) && link.downForMs() < UNUSABLE_AFTER_MS);
  }

  lost(downForMs: number): MediaNodeId[] {
    const down = this.all().filter(
      (link) => !link.isUp && link.downForMs() >= this.#waitLimitMs(link, downForMs),
    );
    return [...down.map(({ mediaNodeId }) => mediaNodeId), ...this.#waiting.keys()];
  }

  closeAll(): void {
    this.#waiting.clear();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #open(node: MediaNodeRecord): Link {
    const { open, listener } = this.#options;
    return open(node, {
      ...listener,
      onUp: (link, incarnation) => {
        this.#losses.delete(link);
        this.#usable.add(link);
        this.#fillFreePlaces();
        this.#count();
        listener.onUp(link, incarnation);
        for (const onUp of this.#upListeners) onUp(link.mediaNodeId);
      },
      onDown: (link, why) => {
        this.#losses.set(link, why);
        this.#count();
        listener.onDown(link, why);
      },
    });
  }

  /** How long a link may be down before requests stop waiting for it; `withinMs` if it was never up. */
  #waitLimitMs(link: Link, withinMs: number): number {
    const loss = this.#losses.get(link);
    return loss === undefined ? withinMs : Math.min(withinMs, NODE_LOST_AFTER_MS[loss]);
  }

  #count(): void {
    const links = this.all();
    const up = links.filter((link) => link.isUp).length;
    this.#options.count({ up, down: links.length - up });
  }
}
