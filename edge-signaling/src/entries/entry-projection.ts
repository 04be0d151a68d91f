import { entriesDigestOf } from '@plenary/cluster';
import type { EntriesDigest } from '@plenary/cluster';
import { entryField } from '@plenary/cluster/protocol';
import type { CarriedEvent, EntryChange } from '@plenary/cluster/protocol';

/**
 * The entries of a room as this edge knows them, deleted ones among them, of whatever kind (SPEC RE8). No truth: it is compared with the store
 * again and again, and is what the store gets back should it forget (RE5). Of two that tell of an entry the one of the higher version is right.
 */
export class EntryProjection {
  readonly #entries = new Map<string, EntryChange>();

  get digest(): EntriesDigest {
    return entriesDigestOf(this.#entries.values());
  }

  all(): readonly EntryChange[] {
    return [...this.#entries.values()];
  }

  /** Takes in what happened in the room. */
  note(event: CarriedEvent['event']): void {
    if (event.type === 'entries.changed') for (const change of event.changes) this.#take(change);
    else if (event.type === 'peer.left') this.#forget((entry) => entry.peerId === event.peerId);
  }

  /**
   * Takes what the store has in the place of what was known before it was read; what was heard since then stays.
   * @param stored - and what the store does not take yet
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
