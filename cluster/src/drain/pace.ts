/** Paces the departures from a draining process: pure, the same for edges and media nodes. */

/** The interval between two batches of requests to leave, in milliseconds. */
export const DRAIN_TICK_MS = 500;
/** The smallest batch, as long as enough members are left. */
export const LEAST_BATCH = 4;
/** How long a member that was asked may stay before it is asked again, in milliseconds. */
export const ASK_AGAIN_MS = 10_000;
/** How long nobody is asked while there is nowhere to go, in milliseconds; then they are asked all the same. */
export const ELSEWHERE_WITHIN_MS = 5_000;

/** A member that is still here. */
export interface DrainMember<Member> {
  readonly member: Member;
  /** When the member was last asked, by the monotonic clock; `undefined` if it was not. */
  readonly askedAtMs: number | undefined;
}

/**
 * The members that are asked to leave now. The batch is so large that all due members would be asked in half of the
 * remaining time; the other half is for those that take long or must be asked again. Members that were never asked
 * come first.
 */
export function nextToLeave<Member>(
  members: readonly DrainMember<Member>[],
  time: { readonly nowMs: number; readonly deadlineAtMs: number },
): Member[] {
  const { nowMs, deadlineAtMs } = time;
  const due = members
    .filter(({ askedAtMs }) => askedAtMs === undefined || nowMs - askedAtMs >= ASK_AGAIN_MS)
    .sort((left, right) => (left.askedAtMs ?? -Infinity) - (right.askedAtMs ?? -Infinity));
  const ticks = Math.max(1, Math.floor((deadlineAtMs - nowMs) / 2 / DRAIN_TICK_MS));
  const batch = Math.max(LEAST_BATCH, Math.ceil(due.length / ticks));
  return due.slice(0, batch).map(({ member }) => member);
}
