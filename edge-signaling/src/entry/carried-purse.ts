import type { Epoch } from '@plenary/cluster';
import type { Purse } from '../limits/meter.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { Session } from './session.ts';

export interface CarriedPurseSettings {
  readonly localRooms: LocalRooms;
  /** The purse of a session that another edge has held for so long. */
  readonly purseAfter: (heldForMs: number) => Purse;
}

/**
 * Gives a session that continues the rest of its purse: from this edge if the session was here, otherwise as much as the purse may
 * hold since the last edge took it (SPEC BU36). Hold epochs are the store's clock, in microseconds.
 */
export function carryPurse(session: Session, heldSince: Epoch, settings: CarriedPurseSettings): void {
  const { localRooms, purseAfter } = settings;
  const heldForMs = (session.media.holdEpoch - heldSince) / 1_000;
  session.purse = localRooms.find(session.peerId)?.purse ?? purseAfter(heldForMs);
  session.purseOwedSince = heldSince;
}
