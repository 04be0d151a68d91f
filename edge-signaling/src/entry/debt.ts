import type { SessionKeyJwk } from '@plenary/cluster/protocol';
import type { Session } from './session.ts';

/**
 * Whether a client that comes back owes for having done so before: it waits until its session has paid (SPEC BU59, BU60). A client with
 * another key than the session that is held here is told nothing of it.
 */
export function owesForComingBack(
  held: Pick<Session, 'key' | 'budget'> | undefined,
  key: Pick<SessionKeyJwk, 'x'>,
): boolean {
  if (held?.budget === undefined || held.key.x !== key.x) return false;
  return held.budget.resources.lacking({ work: 1, bytes: 1 }) !== undefined;
}
