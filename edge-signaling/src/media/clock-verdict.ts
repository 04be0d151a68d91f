import { CLOCK_OFF_MS } from '@plenary/cluster';

/**
 * Whether the clock of this edge is off, and not that of Redis: a wrong clock of Redis must not take every edge out of service.
 * So most media nodes must disagree with this edge as well (SPEC HL47).
 * @param isOffStore - whether the clocks of this edge and of Redis are too far apart
 * @param nodeOffsetsMs - how far the clock of this edge is ahead of the clock of each media node
 */
export function isOwnClockOff(isOffStore: boolean, nodeOffsetsMs: readonly number[]): boolean {
  if (!isOffStore) return false;
  const disagreeing = nodeOffsetsMs.filter((offsetMs) => Math.abs(offsetMs) > CLOCK_OFF_MS).length;
  return disagreeing > nodeOffsetsMs.length - disagreeing;
}
