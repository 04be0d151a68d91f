/** How those who are to leave a draining process are paced: pure, the same for edges and media nodes. */

/** How often the next of them are asked, in milliseconds. */
export const DRAIN_TICK_MS = 500;
/** Fewer are not asked at a time, as long as there are any. */
export const LEAST_BATCH = 4;
/** Who was asked and is still there after this is asked again, in milliseconds. */
export const ASK_AGAIN_MS = 10_000;
/** How long nobody is asked while there is nowhere to go, in milliseconds. */
export const ELSEWHERE_WITHIN_MS = 5_000;

/** One who is still here. */
export interface DrainMember<Member> {
  readonly member: Member;
  /** When it was last asked, by the monotonic clock; `undefined` when it was not. */
  readonly askedAtMs: number | undefined;
}

/**
 * Who is asked to leave now: so many that all who are due would be asked in half of the time that is left, which leaves
 * the other half for those who take long or have to be asked again. Who was never asked comes first.
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
