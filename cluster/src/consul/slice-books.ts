import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { INCARNATION, MEDIA_NODE_ID } from '../protocol/ids.ts';
import { ANNOUNCED_ADDRESS } from '../registry/addresses.ts';
import type { AnnouncedAddresses } from '../registry/addresses.ts';
import { chooseSlice, hasRested } from '../registry/port-slices.ts';
import type { SliceHolding } from '../registry/port-slices.ts';
import { PORT_SLICE } from '../registry/registry.ts';
import type { PortSliceClaim, PortSliceResult } from '../registry/registry.ts';
import { SESSION_ID } from './consul-client.ts';
import type { ConsulClient } from './consul-client.ts';
import type { ConsulNames } from './names.ts';
import { parseValue } from './parse-value.ts';

/** One slice under the addresses that its node announces. It is held while its session exists and it was not returned. */
const SLICE_ENTRY = z.object({
  mediaNodeId: MEDIA_NODE_ID,
  incarnation: INCARNATION,
  session: SESSION_ID,
  portSlice: PORT_SLICE,
  announcedAddress: ANNOUNCED_ADDRESS,
  announcedIpv6: ANNOUNCED_ADDRESS.optional(),
  /** Since when the slice rests, by the wall clock of the process that returned it, or that first saw the end of its session. */
  freedAtMs: z.int().optional(),
});
type SliceEntry = z.infer<typeof SLICE_ENTRY>;
const SLICE_BOOK = z.array(SLICE_ENTRY);

export interface SliceBooksSettings {
  readonly client: Pick<ConsulClient, 'readKey' | 'changeKeys' | 'liveSessions'>;
  readonly names: ConsulNames;
  readonly clock: Clock;
  /** Called for a book that does not parse, which counts as empty. */
  readonly onMalformed: (detail: string) => void;
}

/** The circumstances of a claim of a slice. */
export interface SliceClaimant {
  readonly session: string;
  /** The addresses under which the session held a slice before. */
  readonly previous: AnnouncedAddresses | undefined;
  /** Whether it owns the node's id, so that claims of previous runs are no longer needed. */
  readonly hasId: boolean;
  /** The slices that are held under the same addresses in other datacenters. */
  readonly elsewhere: readonly SliceHolding[];
}

/**
 * The owners of ports, in the KV store of a Consul datacenter: one book for each announced address. A slice of a node
 * with two addresses is in both books, which change together or not at all.
 * Consul provides no clock. So a slice whose session has ended rests from the moment in which a process notices that:
 * the next reader of the book, by its own wall clock.
 */
export class SliceBooks {
  readonly #settings: SliceBooksSettings;

  constructor(settings: SliceBooksSettings) {
    this.#settings = settings;
  }

  /** The result that a claim would have now. It enters nothing, but records which slices rest from now on. */
  foresee(claim: PortSliceClaim, elsewhere: readonly SliceHolding[]): Promise<PortSliceResult> {
    return this.#change(addressesOf(claim), (entries, nowMs) => ({
      entries,
      result: chooseSlice([...entries.map(holdingOf), ...elsewhere], claim, nowMs),
    }));
  }

  /** Enters a slice for a session; previous slices of its incarnation are returned. */
  claim(claim: PortSliceClaim, claimant: SliceClaimant): Promise<PortSliceResult> {
    const { session, previous, hasId, elsewhere } = claimant;
    const { mediaNodeId, incarnation, announcedAddress, announcedIpv6 } = claim;
    return this.#change<PortSliceResult>(addressesOf(claim, previous), (entries, nowMs) => {
      const result = chooseSlice([...entries.map(holdingOf), ...elsewhere], claim, nowMs);
      if (result.refused !== null) return { entries, result };
      const { portSlice } = result;
      const own = { mediaNodeId, incarnation, session, portSlice, announcedAddress, announcedIpv6 };
      const isOver = (entry: SliceEntry): boolean =>
        entry.mediaNodeId === mediaNodeId && (hasId || entry.incarnation === incarnation);
      const others = entries
        .map((entry) => (isOver(entry) ? freed(entry, nowMs) : entry))
        // A living namesake keeps its entry in the same place: if this process withdraws without the id, the namesake
        // continues.
        .filter((entry) => placeOf(entry) !== placeOf(own) || entry.freedAtMs === undefined);
      return { entries: [...others, own], result };
    });
  }

  /** Returns the slices of a session: they rest from now on. */
  giveBack(addresses: AnnouncedAddresses, session: string): Promise<void> {
    return this.#change(addressesOf(addresses), (entries, nowMs) => ({
      entries: entries.map((entry) => (entry.session === session ? freed(entry, nowMs) : entry)),
      result: undefined,
    }));
  }

  /** Removes the slices of a session. Nobody ever used them, so they need not rest. */
  forget(addresses: AnnouncedAddresses, session: string): Promise<void> {
    return this.#change(addressesOf(addresses), (entries) => ({
      entries: entries.filter((entry) => entry.session !== session || entry.freedAtMs !== undefined),
      result: undefined,
    }));
  }

  /** The slices that are held in another datacenter; resting slices are that datacenter's own matter. */
  async heldElsewhere(addresses: AnnouncedAddresses, dc: string): Promise<readonly SliceHolding[]> {
    const { entries } = await this.#read(addressesOf(addresses), dc);
    return entries.filter(({ freedAtMs }) => freedAtMs === undefined).map(holdingOf);
  }

  /**
   * Changes the books of some addresses together. If another process changed them first, `decide` is called again
   * with the new content. Unchanged books are not written.
   */
  async #change<Result>(
    addresses: readonly string[],
    decide: (
      entries: readonly SliceEntry[],
      nowMs: number,
    ) => { readonly entries: readonly SliceEntry[]; readonly result: Result },
  ): Promise<Result> {
    const { names } = this.#settings;
    for (;;) {
      const { books, entries, nowMs } = await this.#read(addresses);
      const decided = decide(entries, nowMs);
      const changes = books
        .map(({ address, text, index }) => ({
          key: names.bookKey(address),
          from: text,
          value: textOf(decided.entries.filter((entry) => addressesOf(entry).includes(address))),
          index,
        }))
        .filter(({ from, value }) => from !== value);
      if (changes.length === 0 || (await this.#settings.client.changeKeys(changes))) return decided.result;
    }
  }

  /** The slices that are held or rest under some addresses. */
  async #read(addresses: readonly string[], dc?: string) {
    const { client, names, clock, onMalformed } = this.#settings;
    const books = await Promise.all(
      addresses.map(async (address) => {
        const found = await client.readKey(names.bookKey(address), dc);
        if (found === undefined) return { address, text: textOf([]), index: 0, entries: [] };
        const entries = parseValue(SLICE_BOOK, found.value, onMalformed) ?? [];
        return { address, text: found.value, index: found.index, entries };
      }),
    );
    const found = books.flatMap(({ entries }) => entries);
    // Queried after the books were read: a session that is missing has ended, and will not come back.
    const live = found.length === 0 ? new Set<string>() : await client.liveSessions(dc);
    const nowMs = clock.wallMs();
    const entries = new Map<string, SliceEntry>();
    for (const entry of found.map((each) =>
      live.has(each.session) ? noLater(each, nowMs) : freed(each, nowMs),
    )) {
      const key = `${entry.session}|${placeOf(entry)}`;
      // If a slice is in two books, one book may contain an earlier time.
      const known = entries.get(key)?.freedAtMs ?? Infinity;
      if (!entries.has(key) || (entry.freedAtMs ?? Infinity) < known) entries.set(key, entry);
    }
    return {
      books,
      entries: [...entries.values()].filter((each) => !hasRested(holdingOf(each), nowMs)),
      nowMs,
    };
  }
}

/** Limits the time to now: no clock that is ahead makes a slice rest for longer. */
const noLater = (entry: SliceEntry, nowMs: number): SliceEntry =>
  entry.freedAtMs === undefined ? entry : { ...entry, freedAtMs: Math.min(entry.freedAtMs, nowMs) };

const freed = (entry: SliceEntry, nowMs: number): SliceEntry =>
  noLater({ ...entry, freedAtMs: entry.freedAtMs ?? nowMs }, nowMs);

const holdingOf = ({ freedAtMs, announcedAddress, announcedIpv6, ...entry }: SliceEntry): SliceHolding => ({
  ...entry,
  addresses: { announcedAddress, announcedIpv6 },
  leaseUntilMs: freedAtMs ?? Infinity,
});

const placeOf = ({ portSlice, announcedAddress, announcedIpv6 = '' }: Omit<SliceEntry, 'session'>): string =>
  [portSlice.firstPort, portSlice.lastPort, announcedAddress, announcedIpv6].join('|');

/** In the order of ports, so that the same entries give the same text. */
const textOf = (entries: readonly SliceEntry[]): string =>
  JSON.stringify([...entries].sort((left, right) => left.portSlice.firstPort - right.portSlice.firstPort));

function addressesOf(...nodes: readonly (AnnouncedAddresses | undefined)[]): readonly string[] {
  const announced = nodes.flatMap((node) => [node?.announcedAddress, node?.announcedIpv6]);
  return [...new Set(announced.filter((address) => address !== undefined))];
}
