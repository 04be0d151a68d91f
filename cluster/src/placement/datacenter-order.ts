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
 * A datacenter that is no further than the nearest by more than this, in milliseconds, is as near: nobody hears the
 * difference, a measurement in a busy browser is no better, and where the edge is costs no way between datacenters.
 */
export const AS_NEAR_MS = 10;

/**
 * In which datacenters a peer's media is to be sought, the best first (SPEC PL9): where its token says, then by what the
 * client measured, then where the edge is, then in the configured order. Of those that are as near as the nearest, where
 * the edge is comes first and then the configured order counts. A datacenter that is not in the list comes after all that
 * are.
 */
export function orderDatacenters(question: DatacenterQuestion): readonly DatacenterId[] {
  const { hint, roundTrips, own, configured } = question;
  const known = [own, ...configured];
  const rank = (datacenter: DatacenterId): number =>
    known.includes(datacenter) ? known.indexOf(datacenter) : known.length;
  const nearestMs = Math.min(...roundTrips.map(({ roundTripMs }) => roundTripMs));
  const isNear = ({ roundTripMs }: RoundTrip): boolean => roundTripMs <= nearestMs + AS_NEAR_MS;
  const byRoundTrip = [...roundTrips].sort((left, right) => left.roundTripMs - right.roundTripMs);
  const near = byRoundTrip
    .filter(isNear)
    .sort((left, right) => rank(left.datacenter) - rank(right.datacenter));
  const far = byRoundTrip.filter((roundTrip) => !isNear(roundTrip));
  const measured = [...near, ...far].map(({ datacenter }) => datacenter);
  return [...new Set([...(hint === undefined ? [] : [hint]), ...measured, own, ...configured])];
}
