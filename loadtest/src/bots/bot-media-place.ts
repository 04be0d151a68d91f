import { Replaceable } from '@plenary/cluster/make-before-break';
import type { Epoch } from '@plenary/cluster/protocol';
import { closeLinks, makeLinks, mediaRequest, openLinks } from './bot-media.ts';
import type { BotLinks, BotMedia, LinkHandlers, LinkOptions } from './bot-media.ts';
import type { EdgeSession } from './edge-session.ts';

/** How long a move may take before the old media session is closed in any case, in milliseconds. */
const MOVE_WITHIN_MS = 12_000;

export interface BotMediaPlaceEnvironment {
  readonly edge: EdgeSession;
  readonly options: LinkOptions;
  readonly links: LinkHandlers;
  /** Has the newest media session carry everything too. */
  readonly move: () => Promise<void>;
  /** Whether nobody needs the old media session any more. */
  readonly isMoved: () => boolean;
  /** The old media session is closed. */
  readonly settled: () => void;
  readonly note: (problem: string) => void;
}

/** A bot's media session. When its node asks it to move, the old session stays open during the move (SPEC DR3). */
export class BotMediaPlace {
  readonly #environment: BotMediaPlaceEnvironment;
  readonly #place = new Replaceable<BotMedia>({
    open: (attempt, beside) => {
      if (beside !== undefined) this.#openBeside(attempt, beside.epoch);
    },
    watch: (attempt, { epoch }) => {
      this.#moveTo(attempt, epoch).catch((error: unknown) => this.#environment.note(String(error)));
    },
    promote: () => undefined,
    close: closeLinks,
    missing: () => undefined,
  });
  readonly #first: BotMedia;
  /** The transports that are not connected yet. */
  #connecting: BotLinks | undefined;
  /** Resolves when the move in progress is complete. */
  #moved: (() => void) | undefined;

  constructor(first: BotMedia, environment: BotMediaPlaceEnvironment) {
    this.#first = first;
    this.#environment = environment;
    this.#place.dispatch({ type: 'given', item: first });
  }

  /** The transports that are to carry everything from now on. */
  get newest(): BotMedia {
    return this.#place.newest ?? this.#first;
  }

  /** All transports, including those of the old session. */
  get all(): readonly BotMedia[] {
    return [...new Set([this.#place.current, this.#place.newest])].filter((media) => media !== undefined);
  }

  /** The node of this media session asks the bot to move; a repeated request has no effect. */
  move(epoch: Epoch): void {
    if (epoch === this.newest.epoch) this.#place.dispatch({ type: 'begin' });
  }

  /** Call it whenever {@link BotMediaPlaceEnvironment.isMoved} may have changed. */
  check(): void {
    if (this.#environment.isMoved()) this.#moved?.();
  }

  close(): void {
    this.#place.dispatch({ type: 'closed' });
    closeLinks(this.#connecting);
    this.#moved?.();
  }

  #openBeside(attempt: number, moveFrom: Epoch): void {
    this.#connectBeside(moveFrom).then(
      (item) => this.#place.dispatch({ type: 'opened', attempt, item }),
      (error: unknown) => {
        this.#environment.note(`moving: ${String(error)}`);
        closeLinks(this.#connecting);
        this.#place.dispatch({ type: 'failed', attempt });
      },
    );
  }

  async #connectBeside(moveFrom: Epoch): Promise<BotMedia> {
    const { edge, options, links: handlers } = this.#environment;
    const links = makeLinks(options, handlers);
    this.#connecting = links;
    const offer = await edge.request('media.open', { ...mediaRequest(links), moveFrom });
    const next = openLinks(offer, links);
    await Promise.all([next.receive.connected, next.send?.connected]);
    this.#connecting = undefined;
    return next;
  }

  async #moveTo(attempt: number, epoch: Epoch): Promise<void> {
    const { edge, move, settled, note } = this.#environment;
    try {
      await move();
      await this.#untilMoved();
      if (this.#place.state.phase === 'overlapping') await edge.request('media.moved', { epoch });
    } catch (error) {
      note(`moving: ${String(error)}`);
    }
    this.#place.dispatch({ type: 'carries', attempt });
    settled();
  }

  /** Waits until the new session carries every track and nobody watches the old ones, or for some seconds. */
  async #untilMoved(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#moved = resolve;
    const timer = setTimeout(resolve, MOVE_WITHIN_MS);
    this.check();
    await promise;
    clearTimeout(timer);
    this.#moved = undefined;
  }
}
