import { RareLines } from '@plenary/cluster';
import type { Clock, Logger } from '@plenary/cluster';
import type { EdgeMetrics } from '../metrics.ts';
import type { Scope } from './budget.ts';
import type { Resource } from './cost.ts';
import type { FrameScope, Inflow } from './frame-budgets.ts';

/** The client that a limit refuses. */
export interface LimitedWho {
  readonly address: string;
  readonly roomId?: string;
  readonly tenantId?: string | undefined;
}

/** Counts refusals by budget and resource, and logs them at a limited rate (SPEC BU40). */
export class LimitedLog {
  readonly #settings: {
    readonly metrics: Pick<EdgeMetrics, 'limited'>;
    readonly logger: Pick<Logger, 'warn'>;
    readonly clock: Clock;
  };
  readonly #lines: RareLines;

  constructor(settings: {
    readonly metrics: Pick<EdgeMetrics, 'limited'>;
    readonly logger: Pick<Logger, 'warn'>;
    readonly clock: Clock;
  }) {
    this.#settings = settings;
    this.#lines = new RareLines(settings.clock);
  }

  limited(scope: Scope, resource: Resource, who: LimitedWho): void {
    this.#count(scope, resource, who, 'request refused: its budget is spent');
  }

  /** A connection is closed because of its frames. */
  cutOff(scope: FrameScope, inflow: Inflow, who: LimitedWho): void {
    this.#count(scope, inflow, who, 'connection closed: its budget of frames is spent');
  }

  /** Logs the counts that were held back so far. */
  close(): void {
    this.#lines.close();
  }

  #count(scope: string, resource: string, who: LimitedWho, message: string): void {
    const { metrics, logger } = this.#settings;
    metrics.limited.inc({ scope, resource });
    this.#lines.say(`${scope} ${resource}`, (unsaid) => {
      logger.warn({ scope, resource, ...who, unsaid }, message);
    });
  }
}
