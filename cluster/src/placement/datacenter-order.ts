import type { DatacenterId } from '../protocol/ids.ts';
import type { RoundTrip } from '../protocol/client-edge.ts';

export interface DatacenterQuestion {
  /** Where the join token says that the person is. */
  readonly hint: DatacenterId | undefined;
  /** What the client measured; empty when it measured nothing. */
  readonly roundTrips: readonly RoundTrip[];
  /** Where the edge is that asks. */
  readonly own: DatacenterId;
  /** The configured order, for what nobody measured. */
  readonly configured: readonly DatacenterId[];
}

/**
 * In which datacenters a peer's media is to be sought, the best first (SPEC PL9): where its token says, then by what the
 * client measured, then where the edge is, then in the configured order. A datacenter that is not in the list comes
 * after all that are.
 */
export function orderDatacenters(question: DatacenterQuestion): readonly DatacenterId[] {
  const { hint, roundTrips, own, configured } = question;
  const measured = [...roundTrips]
    .sort((left, right) => left.roundTripMs - right.roundTripMs)
    .map(({ datacenter }) => datacenter);
  return [...new Set([...(hint === undefined ? [] : [hint]), ...measured, own, ...configured])];
}
