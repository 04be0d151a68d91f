import { PlenaryError } from '@plenary/cluster';
import type { MediaNodeRecord } from '@plenary/cluster';
import type { Incarnation, MediaNodeId } from '@plenary/cluster/ids';
import { NODE_LOST_AFTER_MS } from './link-trouble.ts';
import type { ControlLink, ControlLinkListener } from './control-link.ts';
import type { LinkLoss, LinkTrouble } from './link-trouble.ts';

/** A link as those who ask media nodes see it. */
export type MediaNodeLink = Pick<ControlLink, 'mediaNodeId' | 'incarnation' | 'isUp' | 'call'>;

/** A link as its owner sees it. */
export type OwnedLink = MediaNodeLink &
  Pick<ControlLink, 'controlUrl' | 'downForMs' | 'whenUp' | 'isAwaited' | 'close'> &
  Partial<Pick<ControlLink, 'trouble' | 'clockOffsetMs'>>;

/** The links to the media nodes, as those who ask them see them. */
export interface MediaLinks {
  get(mediaNodeId: MediaNodeId): MediaNodeLink | undefined;
  /**
   * A link that is down for longer than `withinMs` already is not waited for, nor one whose node counts as lost (SPEC CL3). A
   * node that waits for its turn is connected to now (SPEC CL13).
   * @throws PlenaryError `media_unavailable` when there is none, or it is not up within `withinMs`
   */
  reach(mediaNodeId: MediaNodeId, withinMs: number): Promise<MediaNodeLink>;
  /** The media nodes that count as lost, or whose links are down for so long, although they may still be announced. */
  lost(downForMs: number): MediaNodeId[];
}

/** A node that is neither announced nor reachable for so long gets no more attempts. */
const FORGET_AFTER_MS = 30_000;

/** When every link that was up is down for so long, the edge is no good for anybody new, in milliseconds. */
const UNUSABLE_AFTER_MS = 3_000;

/**
 * Links to nodes that never proved themselves, at a time: whoever writes into the registry names as many nodes as they like, and
 * to try all of them each second would take an edge's time and files.
 */
const MAX_UNPROVEN = 64;
/** How long one of them is tried before it makes room for another one that waits, in milliseconds. */
const TRIED_FOR_MS = 5_000;

export interface ControlLinksOptions<Link extends OwnedLink> {
  /** Makes the link to a node, which connects by itself for ever and tells its listener. */
  readonly open: (
    node: Pick<MediaNodeRecord, 'mediaNodeId' | 'controlUrl'>,
    listener: ControlLinkListener,
  ) => Link;
  readonly listener: ControlLinkListener;
  /** Told how many links are up and down, whenever that may have changed. */
  readonly count: (links: { readonly up: number; readonly down: number }) => void;
}

/**
 * One link to each media node. A node that is not announced any more keeps its link while it works: to lose the store
 * is not to lose the node.
 */
export class ControlLinks<Link extends OwnedLink> implements MediaLinks {
  readonly #options: ControlLinksOptions<Link>;
  readonly #links = new Map<MediaNodeId, Link>();
  /** Why links are down that were up. */
  readonly #losses = new WeakMap<Pick<Link, 'mediaNodeId'>, LinkLoss>();
  /** Links that are up or were, and those in their place. */
  readonly #usable = new WeakSet<Pick<Link, 'mediaNodeId'>>();
  /** Which life of its node each link was last seen to be meant for. */
  readonly #lives = new WeakMap<Link, Incarnation>();
  /** Announced nodes that wait for their turn to be tried, in the order of their turns. */
  #waiting = new Map<MediaNodeId, MediaNodeRecord>();
  /** Those of them that had a turn, the last ones last. */
  readonly #tried = new Set<MediaNodeId>();
  readonly #upListeners: ((mediaNodeId: MediaNodeId) => void)[] = [];

  constructor(options: ControlLinksOptions<Link>) {
    this.#options = options;
  }

  /**
   * Opens links to the nodes that are announced, and gives up those to nodes that are gone. A node that was started anew is
   * connected to at once: its link waits longer and longer between attempts, and counts as lost meanwhile (SPEC CL11).
   */
  reconcile(nodes: readonly MediaNodeRecord[]): void {
    const announced = new Set(nodes.map(({ mediaNodeId }) => mediaNodeId));
    for (const node of nodes) {
      const link = this.#links.get(node.mediaNodeId);
      if (link !== undefined && !this.#isCurrent(node, link)) this.#replace(node, link);
    }
    this.#giveTurns(nodes, announced);
    for (const [mediaNodeId, link] of this.#links) {
      if (announced.has(mediaNodeId) || link.downForMs() < FORGET_AFTER_MS) continue;
      this.#links.delete(mediaNodeId);
      link.close();
    }
    this.#count();
  }

  /** Opens links to those that have none: to all, or in turns where very many are announced and prove nothing (SPEC CL12). */
  #giveTurns(nodes: readonly MediaNodeRecord[], announced: ReadonlySet<MediaNodeId>): void {
    const unlinked = (): MediaNodeRecord[] =>
      nodes.filter(({ mediaNodeId }) => !this.#links.has(mediaNodeId));
    if (unlinked().length > this.#room()) this.#endTurns(announced);
    const turns = new Map([...this.#tried].map((mediaNodeId, turn) => [mediaNodeId, turn]));
    // By chance among those that had none yet: the names are the choice of whoever announced them.
    const inTurn = unlinked()
      .map((node) => ({ node, turn: turns.get(node.mediaNodeId) ?? -1, chance: Math.random() }))
      .sort((left, right) => left.turn - right.turn || left.chance - right.chance)
      .map(({ node }) => node);
    this.#waiting = new Map(inTurn.map((node) => [node.mediaNodeId, node]));
    this.#fillRoom();
    for (const mediaNodeId of this.#tried) if (!announced.has(mediaNodeId)) this.#tried.delete(mediaNodeId);
  }

  /** Opens links to the next in turn: also between two readings of the registry, when links that came up make room. */
  #fillRoom(): void {
    for (const node of [...this.#waiting.values()].slice(0, this.#room())) this.#openWaiting(node);
  }

  #openWaiting(node: MediaNodeRecord): Link {
    this.#waiting.delete(node.mediaNodeId);
    return this.#replace(node, undefined);
  }

  #room(): number {
    return Math.max(0, MAX_UNPROVEN - this.#unproven().length);
  }

  /** Closes links that were tried for long enough and that nobody waits for, or whose nodes are not announced any more. */
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
    this.#lives.set(next, node.incarnation);
    this.#links.set(node.mediaNodeId, next);
    return next;
  }

  #unproven(): readonly Link[] {
    return this.all().filter((link) => !link.isUp && !this.#usable.has(link));
  }

  #isCurrent({ controlUrl, incarnation }: MediaNodeRecord, link: Link): boolean {
    if (!link.isUp) return link.controlUrl === controlUrl && this.#lives.get(link) === incarnation;
    // It has proven whose it is. The registry proves nothing, and whoever writes into it cuts no link by it.
    this.#lives.set(link, incarnation);
    return true;
  }

  /** Calls back whenever a link is up. */
  onLinkUp(listener: (mediaNodeId: MediaNodeId) => void): void {
    this.#upListeners.push(listener);
  }

  /** Every link that there is. */
  all(): readonly Link[] {
    return [...this.#links.values()];
  }

  get(mediaNodeId: MediaNodeId): Link | undefined {
    return this.#links.get(mediaNodeId);
  }

  /**
   * The link to a node, once it is up. One that is down for longer than `withinMs` already is not waited for, nor one whose
   * node counts as lost. A node that waits for its turn is connected to now.
   * @throws PlenaryError `media_unavailable` when there is none, or it is not up within `withinMs`
   */
  async reach(mediaNodeId: MediaNodeId, withinMs: number): Promise<Link> {
    const waiting = this.#waiting.get(mediaNodeId);
    const link = waiting === undefined ? this.#links.get(mediaNodeId) : this.#openWaiting(waiting);
    if (link === undefined || !(await link.whenUp(this.#givenUpAfterMs(link, withinMs) - link.downForMs()))) {
      throw new PlenaryError('media_unavailable', `There is no control link to ${mediaNodeId}.`);
    }
    return link;
  }

  unusable(): readonly LinkTrouble[] | undefined {
    const links = this.all();
    if (links.length === 0 || links.some((link) => this.#mayComeBack(link))) return undefined;
    return [...new Set(links.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble])))].sort();
  }

  /** How far this clock is before those of the media nodes that say theirs, in milliseconds. */
  clockOffsetsMs(): readonly number[] {
    return this.all().flatMap(({ clockOffsetMs }) => (clockOffsetMs === undefined ? [] : [clockOffsetMs]));
  }

  /** Whether any link is up, or was: what brings all of them down later is the nodes' end as likely as this edge's fault. */
  wasUsable(): boolean {
    return this.all().some((link) => this.#usable.has(link));
  }

  /** One that was up is given some time: a node that restarts, or a network that hiccups, makes no edge useless. */
  #mayComeBack(link: Link): boolean {
    return link.isUp || (this.#usable.has(link) && link.downForMs() < UNUSABLE_AFTER_MS);
  }

  lost(downForMs: number): MediaNodeId[] {
    const down = this.all().filter(
      (link) => !link.isUp && link.downForMs() >= this.#givenUpAfterMs(link, downForMs),
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
        this.#fillRoom();
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

  /** How long a link may be down before nobody waits for it, where `withinMs` would be given to one that was never up. */
  #givenUpAfterMs(link: Link, withinMs: number): number {
    const loss = this.#losses.get(link);
    return loss === undefined ? withinMs : Math.min(withinMs, NODE_LOST_AFTER_MS[loss]);
  }

  #count(): void {
    const links = this.all();
    const up = links.filter((link) => link.isUp).length;
    this.#options.count({ up, down: links.length - up });
  }
}
