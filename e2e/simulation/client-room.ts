import type { EventId, TrackId } from '@plenary/cluster';
import { compareEventIds } from '@plenary/cluster/ids';
import type { ClientReply, HeardEvent, RoomSnapshot, RoomTrack } from '@plenary/cluster/protocol';
import type { RequestEdge } from './client-requests.ts';
import { RoomCopy } from './room-copy.ts';

/** Follows the room's log from event to event, and requests the events that are missing. */
export class ClientRoom {
  readonly #try: RequestEdge['try'];
  #copy: RoomCopy | undefined;
  #isSyncing = false;

  constructor(tryRequest: RequestEdge['try']) {
    this.#try = tryRequest;
  }

  /** `undefined` until the client has joined. */
  get copy(): RoomCopy | undefined {
    return this.#copy;
  }

  get tracks(): ReadonlyMap<TrackId, RoomTrack> {
    return this.#copy?.tracks ?? new Map<TrackId, RoomTrack>();
  }

  joined(snapshot: RoomSnapshot): void {
    this.#copy = new RoomCopy(snapshot);
  }

  forget(): void {
    this.#copy = undefined;
  }

  /** An event was received. @returns whether events before it are missing */
  receive(event: HeardEvent): boolean {
    return this.#copy !== undefined && !applyNewer(this.#copy, event);
  }

  /** @returns whether the copy lags behind the log, whose last event this is */
  lags(lastEventId: EventId): boolean {
    return this.#copy !== undefined && lastEventId !== this.#copy.lastEventId;
  }

  /** Requests the missing events. @returns the answer, which is yet to be applied */
  async requestMissing(): Promise<ClientReply<'sync'> | undefined> {
    const afterEventId = this.#copy?.lastEventId;
    if (this.#isSyncing || afterEventId === undefined) return undefined;
    this.#isSyncing = true;
    const caughtUp = await this.#try('sync', { afterEventId });
    this.#isSyncing = false;
    return caughtUp;
  }

  catchUp(caughtUp: ClientReply<'sync'>): void {
    const copy = this.#copy;
    if (copy === undefined) return;
    if (caughtUp.type === 'snapshot') copy.replace(caughtUp.room);
    else for (const event of caughtUp.events) applyNewer(copy, event);
  }
}

/** @returns whether the copy includes the event; `false` if events before it are missing */
const applyNewer = (copy: RoomCopy, event: HeardEvent): boolean =>
  copy.apply(event, (id) => compareEventIds(id, copy.lastEventId) > 0);
