/**
 * Who owns which ports under which address, and which slice a claim gets: pure, by the store's clock. Versions of the
 * registry that decide in this process use it as it is; the Redis version says the same in Lua. SPEC PS.
 *
 * A slice is held by a lease, and the holder's incarnation is its fencing token. An epoch that grows would be needed if
 * somebody compared the commands of two holders, as media nodes do for peers. Nobody does here: only the holder acts on
 * its slice, by binding it and by its own claims, announcements and withdrawals, each of which names its incarnation. One
 * that comes late is refused while another holds the slice, and a late withdrawal of a previous life changes nothing.
 * Clients cannot mistake one holder for the next either: ICE credentials are new for every transport.
 */
import { SLICE_REST_MS } from '../limits/store-limits.ts';
import type { Incarnation, MediaNodeId } from '../protocol/ids.ts';
import { shareAddress } from './addresses.ts';
import type { AnnouncedAddresses } from './addresses.ts';
import { slicesOverlap } from './registry.ts';
import type { PortSlice, PortSliceClaim, PortSliceResult } from './registry.ts';

/** A slice that is held, or rests. */
export interface SliceHolding {
  readonly mediaNodeId: MediaNodeId;
  readonly incarnation: Incarnation;
  readonly portSlice: PortSlice;
  readonly addresses: AnnouncedAddresses;
  /** By the store's clock. In the past, the slice rests. */
  readonly leaseUntilMs: number;
}

/** Whether a holding is neither held nor resting any more, so that it can be forgotten. */
export function hasRested(holding: SliceHolding, nowMs: number): boolean {
  return holding.leaseUntilMs + SLICE_REST_MS <= nowMs;
}

/** Who else holds ports of a slice now; what merely rests may be taken by an explicit configuration. */
export function findOverlap(
  holdings: readonly SliceHolding[],
  wanted: Pick<SliceHolding, 'mediaNodeId' | 'portSlice' | 'addresses'>,
  nowMs: number,
): SliceHolding | undefined {
  return holdings.find(
    (holding) =>
      holding.leaseUntilMs > nowMs &&
      holding.mediaNodeId !== wanted.mediaNodeId &&
      shareAddress(holding.addresses, wanted.addresses) &&
      slicesOverlap(holding.portSlice, wanted.portSlice),
  );
}

/** Which slice a claim gets. A claim of the same incarnation that still runs and fits is given again. */
export function chooseSlice(
  holdings: readonly SliceHolding[],
  claim: PortSliceClaim,
  nowMs: number,
): PortSliceResult {
  const { mediaNodeId, incarnation, wanted } = claim;
  if ('firstPort' in wanted) {
    const overlap = findOverlap(holdings, { mediaNodeId, portSlice: wanted, addresses: claim }, nowMs);
    if (overlap === undefined) return { refused: null, portSlice: wanted };
    return { refused: 'port_slice_overlap', by: overlap.mediaNodeId, portSlice: overlap.portSlice };
  }
  const { range, size, except } = wanted;
  const inTheWay = holdings.filter(
    (holding) =>
      !hasRested(holding, nowMs) &&
      shareAddress(holding.addresses, claim) &&
      slicesOverlap(holding.portSlice, range),
  );
  const own = inTheWay.find(
    ({ portSlice: { firstPort, lastPort }, ...holding }) =>
      holding.mediaNodeId === mediaNodeId &&
      holding.incarnation === incarnation &&
      holding.leaseUntilMs > nowMs &&
      firstPort >= range.firstPort &&
      lastPort <= range.lastPort &&
      lastPort - firstPort + 1 === size &&
      !except.includes(firstPort),
  );
  if (own !== undefined) return { refused: null, portSlice: own.portSlice };
  for (let firstPort = range.firstPort; firstPort + size - 1 <= range.lastPort; firstPort += size) {
    const portSlice = { firstPort, lastPort: firstPort + size - 1 };
    if (except.includes(firstPort)) continue;
    if (!inTheWay.some((holding) => slicesOverlap(holding.portSlice, portSlice))) {
      return { refused: null, portSlice };
    }
  }
  const holders = inTheWay
    .map((holding) => ({
      mediaNodeId: holding.mediaNodeId,
      portSlice: holding.portSlice,
      restsForMs: holding.leaseUntilMs > nowMs ? null : holding.leaseUntilMs + SLICE_REST_MS - nowMs,
    }))
    .sort((left, right) => left.portSlice.firstPort - right.portSlice.firstPort);
  return { refused: 'no_free_slice', holders };
}
