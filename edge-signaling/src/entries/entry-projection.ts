import { entriesDigestOf } from '@plenary/cluster';
import type { EntriesDigest } from '@plenary/cluster';
import { entryField } from '@plenary/cluster/protocol';
import type { CarriedEvent, EntryChange } from '@plenary/cluster/protocol';

/**
 * This edge's copy of a room's entries of every kind, deleted ones included (SPEC RE8). The store has the truth: this copy is compared with it
 * periodically, and restores entries that the store lost (RE5). Of two versions of an entry the higher one wins.
 */
export class EntryProjection {
  readonly #entries = new Map<string, EntryChange>();

  get digest(): EntriesDigest {
    return entriesDigestOf(this.#entries.values());
  }

  all(): readonly EntryChange[] {
    return [...this.#entries.values()];
  }

  /** Applies an event of the room. */
  note(event: CarriedEvent['event']): void {
    if (event.type === 'entries.changed') for (const change of event.changes) this.#take(change);
    else if (event.type === 'peer.left') this.#forget((entry) => entry.peerId === event.peerId);
  }

  /**
   * Replaces the entries that were known before the store was read by those of the store. Entries of later events stay.
   * @param known - the entries that this edge knew before it read the store
   * @param stored - the entries of the store, and those that the store does not accept yet
   */
  replace(known: readonly EntryChange[], stored: readonly EntryChange[]): void {
    const replaced = new Set(known);
    this.#forget((entry) => replaced.has(entry));
    for (const entry of stored) this.#take(entry);
  }

  #take(entry: EntryChange): void {
    const field = entryField(entry);
    if ((this.#entries.get(field)?.version ?? 0) < entry.version) this.#entries.set(field, entry);
  }

  #forget(isGone: (entry: EntryChange) => boolean): void {
    for (const [field, entry] of this.#entries) if (isGone(entry)) this.#entries.delete(field);
  }
}
