import type { Logger } from 'pino';
import { systemClock } from '../clock.ts';
import { every } from '../process/guarded-callbacks.ts';
import type { PubSubConnection } from './pubsub-connection.ts';
import { StoreHealth } from './store-health.ts';
import type { StoreTrouble } from './store-trouble.ts';

const LOOK_EVERY_MS = 1_000;
/** A trouble found in this many checks in a row is not just a reconnecting connection. */
const LOOKS = 4;

const AWAY =
  'what edges tell each other does not get through here: meetings of several edges go on by what clients ask for, some seconds late';

/**
 * Watches whether pub/sub works while the store itself serves: Redis may refuse its connections and accept those for
 * commands (SPEC HL51).
 */
export class PubSubWatch {
  readonly #isStoreAvailable: () => boolean;
  readonly #connections: readonly Pick<PubSubConnection, 'trouble'>[];
  readonly #health: StoreHealth;
  readonly #timer: NodeJS.Timeout;
  #looks = 0;
  #found: StoreTrouble | undefined;

  /** @param connections - the present and later connections */
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

  /** The reason why pub/sub fails although the store serves; `undefined` while it works, and before the first check. */
  get trouble(): StoreTrouble | undefined {
    return this.#health.isAvailable ? undefined : this.#found;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#health.close();
  }

  #check(): void {
    // Another watch reports a store that is down.
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
