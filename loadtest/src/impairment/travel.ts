import type { DelayLine } from './delay-line.ts';
import type { Path, RelayCounts } from './impairment.ts';

/** How many bytes of UDP may wait in one direction of a flow: half a second at 64 Mbit/s. */
const MAX_QUEUED_BYTES = 4_194_304;

/** Sends one UDP packet over the path, unless the path loses it. */
export function travel(
  path: Path,
  counts: RelayCounts,
  line: DelayLine,
  packet: Buffer,
  deliver: () => void,
): void {
  const { delayMs, jitterMs, lossRate } = path.impairment();
  if (lossRate > 0 && path.random() < lossRate) {
    counts.lost += 1;
    return;
  }
  if (line.queued + packet.length > MAX_QUEUED_BYTES) {
    counts.overflowed += 1;
    return;
  }
  line.push(packet.length, delayMs + (jitterMs > 0 ? jitterMs * path.random() : 0), deliver);
}
