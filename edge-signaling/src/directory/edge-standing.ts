import type { Clock, EdgeRecord, StoreTrouble } from '@plenary/cluster';
import type { EdgeId } from '@plenary/cluster/ids';
import type { EdgeHint } from '@plenary/cluster/protocol';
import { isOwnClockOff } from '../media/clock-verdict.ts';
import type { LinkTrouble } from '../media/link-trouble.ts';
import type { OwnedMediaLinks } from '../media/media-assembly.ts';
import { lapsedButLinked } from '../media/placer.ts';
import type { Directory } from './directory.ts';
import { edgeHints } from './edge-hints.ts';
import { PubSubVerdict } from './pubsub-verdict.ts';

export interface EdgeStandingSettings {
  readonly edgeId: EdgeId;
  readonly directory: Directory;
  readonly links: OwnedMediaLinks;
  /** Whether the clocks of this edge and of Redis are too far apart. */
  readonly isOffStoreClock: () => boolean;
  readonly clock: Clock;
}

/**
 * Compares this edge with the others: which faults only this edge has, so that clients are better off at another edge, and at
 * which. A fault that all edges share sends no client away.
 */
export class EdgeStanding {
  readonly #settings: EdgeStandingSettings;
  readonly #pubSub: PubSubVerdict;

  constructor(settings: EdgeStandingSettings) {
    this.#settings = settings;
    this.#pubSub = new PubSubVerdict(settings.clock);
  }

  /** How many media nodes may take a peer: the announced ones, and those that lapsed a moment ago but are still linked. */
  get mediaNodeCount(): number {
    const { directory, links } = this.#settings;
    return directory.mediaNodes.length + lapsedButLinked(directory, links).length;
  }

  /** Why this edge can use none of the media nodes that it knows; `undefined` if it can use one, or knows none. */
  unusableLinks(): readonly LinkTrouble[] | undefined {
    return this.#settings.links.unusable();
  }

  /** The faults of this edge that other edges read in the registry. */
  get announced(): Pick<EdgeRecord, 'isClockOff' | 'isPubSubOff'> {
    return {
      ...(this.#isOwnClockOff ? { isClockOff: true } : {}),
      ...(this.#pubSub.isOff ? { isPubSubOff: true } : {}),
    };
  }

  /** Whether this edge refuses tokens that another edge would accept. Without such an edge this one serves on (SPEC HL47). */
  get isClockOff(): boolean {
    return this.#isOwnClockOff && this.#others.some(({ isClockOff }) => isClockOff !== true);
  }

  /** Whether pub/sub fails at this edge, in either direction, while it works at another edge (SPEC HL53). */
  get isPubSubBetterElsewhere(): boolean {
    return this.#pubSub.isBetterElsewhere(this.#others);
  }

  /** Why a connecting client is better off at another edge, if it is. */
  get whyElsewhere(): 'clock_off' | 'no_control_link' | undefined {
    if (this.isClockOff) return 'clock_off';
    // If all media nodes are gone, other edges have none either, so clients may resume their sessions here.
    return this.#isUseless && this.edgeHints().some(({ edgeId }) => edgeId !== this.#settings.edgeId)
      ? 'no_control_link'
      : undefined;
  }

  /**
   * The edges that a client may connect to. An edge with a wrong secret finds no other edge proven, yet clients are better off
   * there. So an edge that never could use a media node names all announced edges.
   */
  edgeHints(): EdgeHint[] {
    return edgeHints(this.#settings.directory, this.#isUseless ? 'announced' : 'proven');
  }

  /** @returns whether this edge has to announce itself again: other edges decide by this state where to send clients */
  pubSubChanged(trouble: StoreTrouble | undefined): boolean {
    const wasOff = this.#pubSub.isOff;
    this.#pubSub.changed(trouble);
    return this.#pubSub.isOff !== wasOff;
  }

  get #isOwnClockOff(): boolean {
    const { isOffStoreClock, links } = this.#settings;
    return isOwnClockOff(isOffStoreClock(), links.clockOffsetsMs());
  }

  get #others(): readonly EdgeRecord[] {
    const { directory, edgeId: own } = this.#settings;
    return directory.edges.filter(({ edgeId, state }) => edgeId !== own && state === 'serving');
  }

  get #isUseless(): boolean {
    return this.unusableLinks() !== undefined && !this.#settings.links.wasUsable();
  }
}
