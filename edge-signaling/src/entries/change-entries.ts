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

/** The services that the handlers of features use. */
export interface FeatureServices {
  readonly edgeId: EdgeId;
  readonly entries: Pick<RoomEntries, 'change'>;
  readonly republisher: Pick<Republisher, 'room'>;
  readonly channel: Pick<RoomChannel, 'publishEvents'>;
}

/** The errors of a store that lost a peer, or the hold of its session. */
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
 * Changes entries of the room for a client and publishes the events to the room.
 * @throws PlenaryError the store's error
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
    // This edge serves the client, so the store may have lost its peer.
    await republisher.room(roomId);
    return entries.change(request);
  });
  const events = result.type === 'changed' ? result.events : [];
  if (events.length === 0) connection.adjustCharge(costOfNoEvent(connection.people));
  channel.publishEvents(roomId, events);
  return result;
}
