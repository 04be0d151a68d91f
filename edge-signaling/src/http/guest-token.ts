import { randomBytes } from 'node:crypto';
import { describeIssues, PlenaryError, signJoinToken } from '@plenary/cluster';
import type { ApiKeys } from '@plenary/cluster';
import { DATACENTER_ID, ROOM_NAME } from '@plenary/cluster/ids';
import { DISPLAY_NAME, TRACK_SOURCE } from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { GuestRooms } from '../auth/guest-rooms.ts';
import { json } from './port.ts';
import type { HttpHandler } from './port.ts';

const GUEST_TOKEN_BODY_BYTES = 4_096;

export const GUEST_TOKEN_REQUEST = z.object({
  roomId: ROOM_NAME,
  displayName: DISPLAY_NAME,
  datacenter: DATACENTER_ID.optional(),
});

export interface GuestTokenSettings {
  readonly apiKeys: ApiKeys;
  readonly guests: GuestRooms;
  readonly takeGuestToken: (address: string) => boolean;
  readonly isOriginAllowed: (origin: string | undefined) => boolean;
  readonly edgeHints: () => unknown;
}

/**
 * Gives anybody a token for a room that is open to guests (SPEC TN4), as a speaker who may publish everything: for open
 * clusters, and for trying out. Only there with PLENARY_GUESTS=on.
 */
export function handleGuestToken(settings: GuestTokenSettings): HttpHandler {
  return async (request) => {
    if (!settings.isOriginAllowed(request.header('origin'))) throw new PlenaryError('forbidden', 'Origin.');
    if (!settings.takeGuestToken(request.address)) throw new PlenaryError('rate_limited');
    const asked = GUEST_TOKEN_REQUEST.safeParse(parse(await request.body(GUEST_TOKEN_BODY_BYTES)));
    if (!asked.success) throw new PlenaryError('malformed_message', describeIssues(asked.error));
    const { roomId, displayName, datacenter } = asked.data;
    const { tenantId, isOpen } = settings.guests;
    if (!isOpen(roomId)) throw new PlenaryError('forbidden', 'This room is not open to guests.');
    const secret = settings.apiKeys.get(tenantId);
    if (secret === undefined) throw new PlenaryError('internal', 'The tenant of guests has no API key.');
    const token = await signJoinToken(tenantId, secret, {
      sub: `guest-${randomBytes(12).toString('base64url')}`,
      room: roomId,
      name: displayName,
      role: 'speaker',
      publish: [...TRACK_SOURCE.options],
      ...(datacenter === undefined ? {} : { datacenter }),
    });
    return json(200, { token, edges: settings.edgeHints() });
  };
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new PlenaryError('malformed_message', 'The body is not JSON.', { cause });
  }
}
