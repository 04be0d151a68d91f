import { PlenaryError } from '@plenary/cluster';
import type { ErrorCode } from '@plenary/cluster';
import type { EdgeId } from '@plenary/cluster/ids';
import type { EntryChangeRequest, EntryChangeResult, EntryWrite, RoomEntries } from '@plenary/cluster';
import type { EntryKey, EntryKindDefinition, EntryValue } from '@plenary/cluster/protocol';
import type { z } from 'zod';
import type { ClientConnection } from '../entry/client-connection.ts';
import { costOfNoEvent } from '../limits/resources.ts';
import type { Republisher } from '../recovery/republisher.ts';
import type { RoomChannel } from '../transport/client-socket.ts';

/** What the handlers of features work with. */
export interface FeatureServices {
  /** Of this edge. */
  readonly edgeId: EdgeId;
  readonly entries: Pick<RoomEntries, 'change'>;
  readonly republisher: Pick<Republisher, 'room'>;
  readonly channel: Pick<RoomChannel, 'publishEvents'>;
}

/** What a store says that forgot a person, or where their session is. */
const FORGOTTEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['peer_not_found', 'replaced']);

/** Whose entry is meant, and which of the kind. */
type Which = Omit<EntryKey, 'kind'>;

/** The entry of a kind, with this value. @throws ZodError if the kind's schema refuses the value, which is a fault of the feature */
export function entrySet<Value extends z.ZodType<EntryValue>>(
  definition: EntryKindDefinition<Value>,
  which: Which,
  value: z.output<Value>,
): EntryWrite {
  const { kind, maxOfKind } = definition;
  return { kind, maxOfKind, ...which, value: definition.value.parse(value) };
}

/** No such entry of a kind. */
export function entryDeleted({ kind, maxOfKind }: EntryKindDefinition, which: Which): EntryWrite {
  return { kind, maxOfKind, ...which };
}

/**
 * Changes entries of the room for the person who asks, and tells the room.
 * @throws PlenaryError what the store refuses with
 */
export async function changeEntries(
  { edgeId, entries, republisher, channel }: FeatureServices,
  connection: ClientConnection,
  change: Pick<EntryChangeRequest, 'conditions' | 'writes'>,
): Promise<EntryChangeResult> {
  const { roomId, peerId } = connection.session;
  const request = { ...change, roomId, actor: peerId, edgeId };
  const result = await entries.change(request).catch(async (fault: unknown) => {
    if (!(fault instanceof PlenaryError) || !FORGOTTEN.has(fault.code)) throw fault;
    // Who asks is here, as far as this edge knows: the store may have forgotten it.
    await republisher.room(roomId);
    return entries.change(request);
  });
  const events = result.type === 'changed' ? result.events : [];
  if (events.length === 0) connection.adjustCharge(costOfNoEvent(connection.people));
  channel.publishEvents(roomId, events);
  return result;
}
