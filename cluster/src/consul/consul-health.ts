import type { Logger } from '../process/logging.ts';
import { Availability } from './availability.ts';
import { CONSUL_ADVICE } from './consul-trouble.ts';
import type { ConsulTrouble } from './consul-trouble.ts';

/**
 * Whether Consul serves this process, and why not (SPEC HL8). One that answers and does not let the process announce itself serves
 * its readers. Says each cause once an outage, in one line.
 */
export class ConsulHealth extends Availability {
  readonly #logger: Logger;
  readonly #told = new Set<ConsulTrouble>();
  readonly #troubleListeners = new Set<(trouble: ConsulTrouble | undefined) => void>();
  #readTrouble: ConsulTrouble | undefined;
  #announceTrouble: ConsulTrouble | undefined;
  #last: ConsulTrouble | undefined;

  constructor(logger: Logger) {
    super();
    this.#logger = logger;
  }

  /** Why it does not serve, or only its readers. */
  get trouble(): ConsulTrouble | undefined {
    return this.#readTrouble ?? this.#announceTrouble;
  }

  /** Calls back on each change of the trouble; returns the function that ends it. */
  onTrouble(listener: (trouble: ConsulTrouble | undefined) => void): () => void {
    this.#troubleListeners.add(listener);
    return () => this.#troubleListeners.delete(listener);
  }

  /** Reading fails, or goes well again. */
  noteRead(trouble: ConsulTrouble | undefined): void {
    this.#readTrouble = trouble;
    this.#changed();
    if (this.set(trouble === undefined) && trouble === undefined) this.#logger.info('Consul answers');
  }

  /** An announcement was refused, or went well. */
  noteAnnounced(trouble: ConsulTrouble | undefined): void {
    this.#announceTrouble = trouble;
    this.#changed();
  }

  override close(): void {
    super.close();
    this.#troubleListeners.clear();
  }

  #changed(): void {
    const { trouble } = this;
    if (trouble === undefined) this.#told.clear();
    else if (!this.#told.has(trouble)) this.#tell(trouble);
    if (trouble === this.#last) return;
    this.#last = trouble;
    for (const listener of this.#troubleListeners) listener(trouble);
  }

  #tell(cause: ConsulTrouble): void {
    this.#told.add(cause);
    const { mustAct, toDo } = CONSUL_ADVICE[cause];
    const what =
      this.#readTrouble === undefined
        ? 'Consul does not let this process announce itself'
        : 'Consul does not serve this process: what was last known counts';
    if (mustAct) this.#logger.error({ cause, toDo }, what);
    else this.#logger.warn({ cause, toDo }, what);
  }
}
