import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { Damping } from '../damping.ts';
import { after } from '../process/guarded-callbacks.ts';
import type { Logger } from '../process/logging.ts';
import { Availability } from './availability.ts';
import { CONSUL_ADVICE } from './consul-trouble.ts';
import type { ConsulTrouble } from './consul-trouble.ts';

/**
 * Whether Consul serves this process, and why not (SPEC HL8). If Consul answers but refuses announcements, it still
 * serves readers. A loss counts at once, a return once Consul no longer flaps, as with the store (SPEC HL19). Each
 * cause is logged once in an outage, in one line.
 */
export class ConsulHealth extends Availability {
  readonly #logger: Logger;
  readonly #damping: Damping;
  /** The damping of refused announcements, separate because reading may work all the while. */
  readonly #announceDamping: Damping;
  readonly #told = new Set<ConsulTrouble>();
  readonly #troubleListeners = new Set<(trouble: ConsulTrouble | undefined) => void>();
  #readTrouble: ConsulTrouble | undefined;
  #announceTrouble: ConsulTrouble | undefined;
  #last: ConsulTrouble | undefined;
  #returning: NodeJS.Timeout | undefined;

  constructor(logger: Logger, clock: Clock = systemClock) {
    super();
    this.#logger = logger;
    this.#damping = new Damping(clock);
    this.#announceDamping = new Damping(clock);
  }

  /** Why Consul does not serve, or serves only readers. */
  get trouble(): ConsulTrouble | undefined {
    return this.#readTrouble ?? this.#announceTrouble;
  }

  /** Calls back on each change of the trouble. @returns a function that ends it */
  onTrouble(listener: (trouble: ConsulTrouble | undefined) => void): () => void {
    this.#troubleListeners.add(listener);
    return () => this.#troubleListeners.delete(listener);
  }

  /** Records that reading fails, or works again; called for every answer. */
  noteRead(trouble: ConsulTrouble | undefined): void {
    if (trouble === undefined) {
      this.#returnLater();
      return;
    }
    clearTimeout(this.#returning);
    this.#returning = undefined;
    if (this.#readTrouble === undefined) this.#begins(this.#damping);
    this.#readTrouble = trouble;
    this.#changed();
    this.set(false);
  }

  /** Records that an announcement was refused, or granted. */
  noteAnnounced(trouble: ConsulTrouble | undefined): void {
    if (trouble !== undefined && this.#announceTrouble === undefined) this.#begins(this.#announceDamping);
    this.#announceTrouble = trouble;
    this.#changed();
  }

  override close(): void {
    super.close();
    clearTimeout(this.#returning);
    this.#troubleListeners.clear();
  }

  /** Whether an outage begins; if Consul only keeps flapping, every cause was logged already. */
  #begins(damping: Damping): void {
    damping.noteLoss();
    if (this.trouble === undefined && damping.holdMs === 0) this.#told.clear();
  }

  #returnLater(): void {
    if (this.#returning !== undefined || (this.isAvailable() && this.#readTrouble === undefined)) return;
    const { holdMs } = this.#damping;
    if (holdMs === 0) this.#return();
    else this.#returning = after(holdMs, () => this.#return());
  }

  #return(): void {
    this.#returning = undefined;
    this.#readTrouble = undefined;
    this.#changed();
    if (this.set(true)) this.#logger.info('Consul answers');
  }

  #changed(): void {
    const { trouble } = this;
    if (trouble !== undefined && !this.#told.has(trouble)) this.#tell(trouble);
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
        : 'Consul does not serve this process; the last known services count';
    if (mustAct) this.#logger.error({ cause, toDo }, what);
    else this.#logger.warn({ cause, toDo }, what);
  }
}
