import type { Clock, EdgeRecord, StoreTrouble } from '@plenary/cluster';
import type { EdgeId } from '@plenary/cluster/ids';
import type { EdgeHint } from '@plenary/cluster/protocol';
import { isOwnClockOff } from '../media/clock-verdict.ts';
import type { LinkTrouble } from '../media/control-link.ts';
import type { OwnedMediaLinks } from '../media/media-assembly.ts';
import { lapsedButLinked } from '../media/placer.ts';
import type { Directory } from './directory.ts';
import { edgeHints } from './edge-hints.ts';
import { PubSubVerdict } from './pubsub-verdict.ts';

export interface EdgeStandingSettings {
  readonly edgeId: EdgeId;
  readonly directory: Directory;
  readonly links: OwnedMediaLinks;
  /** Whether this clock and that of Redis are too far apart. */
  readonly isOffStoreClock: () => boolean;
  readonly clock: Clock;
}

/**
 * How this edge stands among the others: which of its faults are its own, so that clients are better off elsewhere, and where
 * that is. Common faults send nobody away.
 */
export class EdgeStanding {
  readonly #settings: EdgeStandingSettings;
  readonly #pubSub: PubSubVerdict;

  constructor(settings: EdgeStandingSettings) {
    this.#settings = settings;
    this.#pubSub = new PubSubVerdict(settings.clock);
  }

  /** How many media nodes may be asked to take somebody: those announced, and those that lapsed a moment ago and are linked. */
  get mediaNodeCount(): number {
    const { directory, links } = this.#settings;
    return directory.mediaNodes.length + lapsedButLinked(directory, links).length;
  }

  /** Why no media node can be used, where there are some. */
  unusableLinks(): readonly LinkTrouble[] | undefined {
    return this.#settings.links.unusable();
  }

  /** What other edges read of this one in the registry. */
  get announced(): Pick<EdgeRecord, 'isClockOff' | 'isPubSubOff'> {
    return {
      ...(this.#isOwnClockOff ? { isClockOff: true } : {}),
      ...(this.#pubSub.isOff ? { isPubSubOff: true } : {}),
    };
  }

  /** Whether tokens fail here that another edge takes. If there is none, this one does what it can (SPEC HL12). */
  get isClockOff(): boolean {
    return this.#isOwnClockOff && this.#others.some(({ isClockOff }) => isClockOff !== true);
  }

  /** Whether this edge hears no others, or is not heard, while another one has no such fault (SPEC HL13). */
  get isPubSubBetterElsewhere(): boolean {
    return this.#pubSub.isBetterElsewhere(this.#others);
  }

  /** Why whoever comes is better off at another edge, if there is one. */
  get whyElsewhere(): 'clock_off' | 'no_control_link' | undefined {
    if (this.isClockOff) return 'clock_off';
    // Where all media nodes are gone, other edges have none either: whoever can resume here shall.
    return this.#isUseless && this.edgeHints().some(({ edgeId }) => edgeId !== this.#settings.edgeId)
      ? 'no_control_link'
      : undefined;
  }

  /**
   * The edges that a client may go to. To an edge with another secret than all others none of them proves that it is one, and
   * whoever comes is better off there all the same: it names what is announced, as long as it never could use a media node itself.
   */
  edgeHints(): EdgeHint[] {
    return edgeHints(this.#settings.directory, this.#isUseless ? 'announced' : 'proven');
  }

  /** @returns whether other edges are to be told: what they hear decides where people are sent */
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
