import { readMetric } from '../harness/metrics.ts';
import type { HostileWorld } from './hostile-world.ts';

/** How many requests the target refused because a room's budget was spent. */
export const limitedByRooms = ({ target }: HostileWorld): Promise<number> =>
  readMetric(target.operatorUrl, 'plenary_edge_limited_total', { scope: 'room' });
