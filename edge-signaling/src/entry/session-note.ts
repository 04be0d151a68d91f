import type { EdgeId } from '@plenary/cluster/ids';
import { roomNameOf } from '@plenary/cluster/ids';
import type { Session as SessionNote } from '@plenary/cluster/protocol';
import type { Directory } from '../directory/directory.ts';
import { edgeHints } from '../directory/edge-hints.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { Session } from './session.ts';
import type { GuestRooms } from './tokens/guest-rooms.ts';

export interface SessionNoteSettings {
  readonly edgeId: EdgeId;
  readonly resumeWithinMs: number;
  readonly guests: GuestRooms | undefined;
  readonly directory: Directory;
  readonly keeper: SessionKeeper;
}

/** Returns the description of a session for its client, in the answer to a join or resume. */
export async function sessionNote(session: Session, settings: SessionNoteSettings): Promise<SessionNote> {
  const { edgeId, resumeWithinMs, keeper, directory, guests } = settings;
  const roomName = roomNameOf(session.roomId);
  return {
    peerId: session.peerId,
    roomId: roomName,
    displayName: session.displayName,
    role: session.grants.role,
    sessionToken: await keeper.tokenOf(session),
    resumeWithinMs,
    edgeId,
    edges: edgeHints(directory),
    // A guest invited to another tenant's room would enter the guests' room of that name, alone.
    openToGuests:
      guests !== undefined && guests.tenantId === session.grants.tenant && guests.isOpen(roomName),
  };
}
