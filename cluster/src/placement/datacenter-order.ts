import type { DatacenterId } from '../protocol/ids.ts';
import type { RoundTrip } from '../protocol/client-edge.ts';

export interface DatacenterQuestion {
  /** The person's datacenter according to the join token. */
  readonly hint: DatacenterId | undefined;
  /** The round trips that the client measured; empty if it measured none. */
  readonly roundTrips: readonly RoundTrip[];
  /** The datacenter of the edge. */
  readonly own: DatacenterId;
  /** The configured order, for datacenters that nobody measured. */
  readonly configured: readonly DatacenterId[];
}

/**
 * A datacenter at most this much further than the nearest counts as equally near, in milliseconds: nobody hears the
 * difference, and a measurement in a busy browser is no more precise.
 */
export const AS_NEAR_MS = 10;

/**
 * Orders the datacenters for a peer's media session, the best first (SPEC PL9): the token's hint, then by the client's
 * measurements, then the edge's own, then the configured order. Among those as near as the nearest, the edge's own
 * comes first, then the configured order decides. Datacenters outside the list come last.
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
