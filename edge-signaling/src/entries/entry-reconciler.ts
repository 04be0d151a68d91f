import type { RepublishedPeers, RoomEntries } from '@plenary/cluster';
import { entryField, MAX_EVENT_ENTRIES } from '@plenary/cluster/protocol';
import type { EntryChange } from '@plenary/cluster/protocol';
import type { RoomId } from '@plenary/cluster/ids';
import type { EdgeMetrics } from '../metrics.ts';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { RoomChannel } from '../transport/client-socket.ts';

/** Bytes of entries that are published again at a time, so that their event fits into one publication. */
const MAX_PAGE_BYTES = 65_536;

export interface EntryReconcilerSettings {
  readonly entries: Pick<RoomEntries, 'republish' | 'list'>;
  readonly localRooms: Pick<LocalRooms, 'entriesOf'>;
  readonly channel: Pick<RoomChannel, 'publishEvents'>;
  readonly metrics: Pick<EdgeMetrics, 'repairs'>;
}

/** Keeps the entries of rooms equal in the store and at this edge, whichever of the two has lost some (SPEC RE5, RE6). */
export class EntryReconciler {
  readonly #settings: EntryReconcilerSettings;

  constructor(settings: EntryReconcilerSettings) {
    this.#settings = settings;
  }

  /**
   * Compares the digest of a room's entries with that of the store. If they differ, republishes the entries of this edge, and then reads
   * those of the store.
   * @throws PlenaryError `store_unavailable`
   */
  async reconcile(
    roomId: RoomId,
    { entries: stored, isRebuilding }: Pick<RepublishedPeers, 'entries' | 'isRebuilding'>,
  ): Promise<void> {
    const { entries, localRooms, channel, metrics } = this.#settings;
    const projection = localRooms.entriesOf(roomId);
    const { count, sum } = projection.digest;
    if (count === stored.count && sum === stored.sum) return;
    const unplaced = new Set<string>();
    const known = projection.all();
    for (const page of pagesOf(known)) {
      const { verdicts, events } = await entries.republish(roomId, page);
      for (const { entry, verdict } of verdicts) if (verdict === 'unplaced') unplaced.add(entryField(entry));
      if (events.length > 0) metrics.repairs.inc({ what: 'entries' });
      channel.publishEvents(roomId, events);
    }
    // Keeps entries of peers that their edge has not republished yet: the store accepts them within a round or two.
    const kept = isRebuilding ? known.filter((entry) => unplaced.has(entryField(entry))) : [];
    projection.replace(known, [...(await entries.list(roomId)), ...kept]);
  }
}

function pagesOf(entries: readonly EntryChange[]): EntryChange[][] {
  const pages: EntryChange[][] = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = JSON.stringify(entry).length;
    const page = pages.at(-1);
    if (page === undefined || page.length >= MAX_EVENT_ENTRIES || bytes + size > MAX_PAGE_BYTES) {
      pages.push([entry]);
      bytes = size;
    } else {
      page.push(entry);
      bytes += size;
    }
  }
  return pages;
}
