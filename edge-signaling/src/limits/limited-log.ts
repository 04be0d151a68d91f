import type { Clock, Logger } from '@plenary/cluster';
import type { EdgeMetrics } from '../metrics.ts';
import type { Scope } from './budget.ts';
import type { Resource } from './cost.ts';

/** Whom a limit holds up. */
export interface LimitedWho {
  readonly address: string;
  readonly roomId?: string;
  readonly tenantId?: string | undefined;
}

/** Lines of one scope and resource are this far apart, however many are limited. */
const LINE_EVERY_MS = 10_000;

/** Counts who was limited by what, and says it now and then (SPEC BU8). */
export class LimitedLog {
  readonly #settings: {
    readonly metrics: Pick<EdgeMetrics, 'limited'>;
    readonly logger: Pick<Logger, 'warn'>;
    readonly clock: Clock;
  };
  readonly #said = new Map<string, { atMs: number; unsaid: number }>();

  constructor(settings: {
    readonly metrics: Pick<EdgeMetrics, 'limited'>;
    readonly logger: Pick<Logger, 'warn'>;
    readonly clock: Clock;
  }) {
    this.#settings = settings;
  }

  limited(scope: Scope, resource: Resource, who: LimitedWho): void {
    const { metrics, logger, clock } = this.#settings;
    metrics.limited.inc({ scope, resource });
    const nowMs = clock.monotonicMs();
    const key = `${scope} ${resource}`;
    const last = this.#said.get(key);
    if (last !== undefined && nowMs - last.atMs < LINE_EVERY_MS) {
      last.unsaid += 1;
      return;
    }
    this.#said.set(key, { atMs: nowMs, unsaid: 0 });
    const unsaid = last?.unsaid ?? 0;
    logger.warn({ scope, resource, ...who, unsaid }, 'a request was refused: its budget is spent');
  }
}
