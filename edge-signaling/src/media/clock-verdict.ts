import { CLOCK_OFF_MS } from '@plenary/cluster';

/**
 * Whether it is this edge whose clock is off, and not Redis' own: one wrong clock there must not take every edge away. So the
 * media nodes are asked, and most of them must say so as well (SPEC HL47).
 * @param isOffStore - whether this clock and that of Redis are too far apart
 * @param nodeOffsetsMs - how far this clock is before those of the media nodes
 */
export function isOwnClockOff(isOffStore: boolean, nodeOffsetsMs: readonly number[]): boolean {
  if (!isOffStore) return false;
  const disagreeing = nodeOffsetsMs.filter((offsetMs) => Math.abs(offsetMs) > CLOCK_OFF_MS).length;
  return disagreeing > nodeOffsetsMs.length - disagreeing;
}
