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

/** One slice under the addresses that its node announces. It is held while its session lives and it was not given back. */
const SLICE_ENTRY = z.object({
  mediaNodeId: MEDIA_NODE_ID,
  incarnation: INCARNATION,
  session: SESSION_ID,
  portSlice: PORT_SLICE,
  announcedAddress: ANNOUNCED_ADDRESS,
  announcedIpv6: ANNOUNCED_ADDRESS.optional(),
  /** Since when it rests, by the wall clock of who gave it back, or else of who first saw that its session had ended. */
  freedAtMs: z.int().optional(),
});
type SliceEntry = z.infer<typeof SLICE_ENTRY>;
const SLICE_BOOK = z.array(SLICE_ENTRY);

export interface SliceBooksSettings {
  readonly client: Pick<ConsulClient, 'readKey' | 'changeKeys' | 'liveSessions'>;
  readonly names: ConsulNames;
  readonly clock: Clock;
  /** Told of a book that does not parse, which is taken for empty. */
  readonly onMalformed: (detail: string) => void;
}

/** Under which circumstances a slice is claimed. */
export interface SliceClaimant {
  readonly session: string;
  /** Under which addresses the session held a slice before. */
  readonly previous: AnnouncedAddresses | undefined;
  /** Whether it has the node's id, so that what its previous lives held is no longer needed. */
  readonly hasId: boolean;
  /** What is held under the same addresses in other datacenters. */
  readonly elsewhere: readonly SliceHolding[];
}

/**
 * Who owns which ports, in the KV store of a Consul datacenter: one book for each announced address. A slice of a node with
 * two addresses stands in both books, which change together or not at all.
 *
 * Consul tells no time. So a slice whose session has ended rests from the moment in which somebody sees that: whoever reads
 * the book next, by its own wall clock.
 */
export class SliceBooks {
  readonly #settings: SliceBooksSettings;

  constructor(settings: SliceBooksSettings) {
    this.#settings = settings;
  }

  /** What a claim would get now. It enters nothing, but notes what rests from now on. */
  foresee(claim: PortSliceClaim, elsewhere: readonly SliceHolding[]): Promise<PortSliceResult> {
    return this.#change(addressesOf(claim), (entries, nowMs) => ({
      entries,
      result: chooseSlice([...entries.map(holdingOf), ...elsewhere], claim, nowMs),
    }));
  }

  /** Enters a slice for a session; what its incarnation held before is given back. */
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
        // A namesake that lives keeps its entry in the same place: should this one go without its id, that one goes on.
        .filter((entry) => placeOf(entry) !== placeOf(own) || entry.freedAtMs === undefined);
      return { entries: [...others, own], result };
    });
  }

  /** Gives back what a session holds: it rests from now on. */
  giveBack(addresses: AnnouncedAddresses, session: string): Promise<void> {
    return this.#change(addressesOf(addresses), (entries, nowMs) => ({
      entries: entries.map((entry) => (entry.session === session ? freed(entry, nowMs) : entry)),
      result: undefined,
    }));
  }

  /** Takes out what a session holds. Nobody was ever told of it, so that it need not rest. */
  forget(addresses: AnnouncedAddresses, session: string): Promise<void> {
    return this.#change(addressesOf(addresses), (entries) => ({
      entries: entries.filter((entry) => entry.session !== session || entry.freedAtMs !== undefined),
      result: undefined,
    }));
  }

  /** What is held in another datacenter; what rests there is that datacenter's to know. */
  async heldElsewhere(addresses: AnnouncedAddresses, dc: string): Promise<readonly SliceHolding[]> {
    const { entries } = await this.#read(addressesOf(addresses), dc);
    return entries.filter(({ freedAtMs }) => freedAtMs === undefined).map(holdingOf);
  }

  /**
   * Changes the books of some addresses together: `decide` is asked again with what is there then when somebody else was
   * first. What does not change is not written.
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

  /** What is held or rests under some addresses. */
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
    // Asked after the books were read: a session that is not there has ended, and will not come back.
    const live = found.length === 0 ? new Set<string>() : await client.liveSessions(dc);
    const nowMs = clock.wallMs();
    const entries = new Map<string, SliceEntry>();
    for (const entry of found.map((each) =>
      live.has(each.session) ? noLater(each, nowMs) : freed(each, nowMs),
    )) {
      const key = `${entry.session}|${placeOf(entry)}`;
      // Of one that stands in two books, one may have been read more often.
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

/** As free since now at the latest: no clock that goes ahead makes a slice rest for long. */
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

/** In the order of ports, so that the same entries are the same text. */
const textOf = (entries: readonly SliceEntry[]): string =>
  JSON.stringify([...entries].sort((left, right) => left.portSlice.firstPort - right.portSlice.firstPort));

function addressesOf(...nodes: readonly (AnnouncedAddresses | undefined)[]): readonly string[] {
  const announced = nodes.flatMap((node) => [node?.announcedAddress, node?.announcedIpv6]);
  return [...new Set(announced.filter((address) => address !== undefined))];
}
