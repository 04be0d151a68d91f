import { RareLines } from '@plenary/cluster';
import type { Clock, Logger } from '@plenary/cluster';
import type { EdgeMetrics } from '../metrics.ts';
import type { Scope } from './budget.ts';
import type { Resource } from './cost.ts';
import type { FrameScope, Inflow } from './frame-budgets.ts';

/** Whom a limit holds up. */
export interface LimitedWho {
  readonly address: string;
  readonly roomId?: string;
  readonly tenantId?: string | undefined;
}

/** Counts who was limited by what, and says it now and then (SPEC BU40). */
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

  /** A connection is closed for what came in on it. */
  cutOff(scope: FrameScope, inflow: Inflow, who: LimitedWho): void {
    this.#count(scope, inflow, who, 'connection closed: its budget of frames is spent');
  }

  /** Says what was left out so far. */
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
