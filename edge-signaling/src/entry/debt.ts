import type { SessionKeyJwk } from '@plenary/cluster/protocol';
import type { Session } from './session.ts';

/**
 * Whether a client that resumes has spent its session's budget on earlier resumes: then it has to wait (SPEC BU59, BU60). A client with
 * another key than that session learns nothing about the budget.
 */
export function owesForComingBack(
  held: Pick<Session, 'key' | 'budget'> | undefined,
  key: Pick<SessionKeyJwk, 'x'>,
): boolean {
  if (held?.budget === undefined || held.key.x !== key.x) return false;
  return held.budget.resources.lacking({ work: 1, bytes: 1 }) !== undefined;
}
