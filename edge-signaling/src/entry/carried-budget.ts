import type { Epoch } from '@plenary/cluster';
import type { SessionBudget } from '../limits/meter.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { Session } from './session.ts';

export interface CarriedBudgetSettings {
  readonly localRooms: LocalRooms;
  /** Returns the budget of a session that another edge has held for `heldForMs`. */
  readonly carriedBudget: (heldForMs: number) => SessionBudget;
}

/**
 * Gives a session that continues the rest of its budget: from this edge if the session was here, otherwise as much as the budget may
 * hold since the last edge took it (SPEC BU36). Hold epochs are the store's clock, in microseconds.
 */
export function carryBudget(session: Session, heldSince: Epoch, settings: CarriedBudgetSettings): void {
  const { localRooms, carriedBudget } = settings;
  const heldForMs = (session.media.holdEpoch - heldSince) / 1_000;
  session.budget = localRooms.find(session.peerId)?.budget ?? carriedBudget(heldForMs);
  session.budgetReportDueSince = heldSince;
}
