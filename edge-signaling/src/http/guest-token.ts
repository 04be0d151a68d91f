import { describeIssues, PlenaryError, signJoinToken } from '@plenary/cluster';
import type { ApiKeys } from '@plenary/cluster';
import { DATACENTER_ID, ROOM_NAME } from '@plenary/cluster/ids';
import { DISPLAY_NAME, TRACK_SOURCE } from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { GuestRooms } from '../entry/tokens/guest-rooms.ts';
import { newGuestSubject } from '../entry/tokens/guest-subject.ts';
import { originRefused } from './origins.ts';
import { json } from './port.ts';
import type { HttpHandler } from './port.ts';

export const GUEST_TOKEN_REQUEST = z.object({
  roomId: ROOM_NAME,
  displayName: DISPLAY_NAME,
  datacenter: DATACENTER_ID.optional(),
});

export interface GuestTokenSettings {
  readonly apiKeys: ApiKeys;
  /** `undefined`: nobody comes without a token of an application. */
  readonly guests: GuestRooms | undefined;
  readonly takeGuestToken: (address: string) => boolean;
  readonly isOriginAllowed: (origin: string | undefined) => boolean;
  readonly edgeHints: () => unknown;
}

/**
 * Gives anybody a token for a room that is open to guests (SPEC TN4), as a speaker who may publish everything: for open
 * clusters, and for trying out. Only with PLENARY_GUESTS=on; without it everybody is told so.
 */
export function handleGuestToken(settings: GuestTokenSettings): HttpHandler {
  return async (request) => {
    if (!settings.isOriginAllowed(request.header('origin'))) throw originRefused();
    if (!settings.takeGuestToken(request.address)) throw new PlenaryError('rate_limited');
    const { guests } = settings;
    if (guests === undefined) throw new PlenaryError('guests_not_allowed');
    const asked = GUEST_TOKEN_REQUEST.safeParse(parse(await request.body()));
    if (!asked.success) throw new PlenaryError('malformed_message', describeIssues(asked.error));
    const { roomId, displayName, datacenter } = asked.data;
    if (!guests.isOpen(roomId))
      throw new PlenaryError('guests_not_allowed', 'This room is not open to guests.');
    const { tenantId } = guests;
    const [secret] = settings.apiKeys.get(tenantId) ?? [];
    if (secret === undefined) throw new PlenaryError('internal', 'The tenant of guests has no API key.');
    const token = await signJoinToken(tenantId, secret, {
      sub: newGuestSubject(),
      guest: true,
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
