import type { Logger } from 'pino';
import { systemClock } from '../clock.ts';
import { every } from '../process/entry.ts';
import type { PubSubConnection } from './pubsub-connection.ts';
import { StoreHealth } from './store-health.ts';
import type { StoreTrouble } from './store-trouble.ts';

const LOOK_EVERY_MS = 1_000;
/** What is found so often in a row is no connection that is just being made anew. */
const LOOKS = 4;

const AWAY =
  'what edges tell each other does not get through here: meetings of several edges go on by what clients ask for, some seconds late';

/**
 * Watches whether pub/sub works while the store itself serves: its connections may be refused where that for commands is not (SPEC
 * HL51).
 */
export class PubSubWatch {
  readonly #isStoreAvailable: () => boolean;
  readonly #connections: readonly Pick<PubSubConnection, 'trouble'>[];
  readonly #health: StoreHealth;
  readonly #timer: NodeJS.Timeout;
  #looks = 0;
  #found: StoreTrouble | undefined;

  /** @param connections - those that there are, or come later */
  constructor(
    isStoreAvailable: () => boolean,
    connections: readonly Pick<PubSubConnection, 'trouble'>[],
    onTrouble: (trouble: StoreTrouble | undefined) => void,
    logger: Logger,
  ) {
    this.#isStoreAvailable = isStoreAvailable;
    this.#connections = connections;
    this.#health = new StoreHealth({ onAvailability: () => undefined, onTrouble }, logger, systemClock, {
      away: AWAY,
      partAway: AWAY,
      back: 'what edges tell each other gets through',
    });
    this.#timer = every(LOOK_EVERY_MS, () => this.#check());
  }

  /** Why it does not work although the store serves; `undefined` where it does, and until that was looked for. */
  get trouble(): StoreTrouble | undefined {
    return this.#health.isAvailable ? undefined : this.#found;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#health.close();
  }

  #check(): void {
    // Of a store that is away another watch tells.
    if (this.#connections.length === 0 || !this.#isStoreAvailable()) return;
    const trouble = this.#connections
      .map((connection) => connection.trouble())
      .find((found) => found !== undefined);
    this.#looks = trouble === undefined ? 0 : this.#looks + 1;
    if (trouble === undefined) this.#health.found('whole');
    else if (this.#looks >= LOOKS) {
      this.#found = trouble;
      this.#health.found('none', trouble);
    }
  }
}
