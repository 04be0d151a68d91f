/** The requests of operators to edges about tenants and their rooms, and the revocation of access (SPEC OP4, OP14). */
import { z } from 'zod';
import { EDGE_ID, MEDIA_NODE_ID, PEER_ID, ROOM_NAME, TENANT_ID } from '../protocol/ids.ts';
import { DISPLAY_NAME, ROLE } from '../protocol/room.ts';
import { SUBJECT } from '../tokens/join-token.ts';

export const ADMIN_ROOMS_PATH = '/admin/rooms';
export const ADMIN_PEOPLE_PATH = '/admin/people';
export const ADMIN_REVOKE_PATH = '/admin/revoke';

/** The largest number of rooms or people in one answer. */
export const MAX_ADMIN_ITEMS = 1_000;

const COUNT = z.int().min(0);

/** Requests the rooms with people on an edge: of one tenant, or of all. */
export const ADMIN_ROOMS_REQUEST = z.strictObject({ tenant: TENANT_ID.optional() });
export const ADMIN_ROOMS_REPLY = z.object({
  edgeId: EDGE_ID,
  rooms: z.array(z.object({ tenant: TENANT_ID, room: ROOM_NAME, sessions: COUNT })).max(MAX_ADMIN_ITEMS),
  /** The number of rooms that did not fit into the answer. */
  leftOut: COUNT,
});
export type AdminRoomsReply = z.infer<typeof ADMIN_ROOMS_REPLY>;

/** Requests the people of a room on an edge. */
export const ADMIN_PEOPLE_REQUEST = z.strictObject({ tenant: TENANT_ID, room: ROOM_NAME });
export const ADMIN_PEOPLE_REPLY = z.object({
  edgeId: EDGE_ID,
  people: z
    .array(
      z.object({
        peerId: PEER_ID,
        /** `sub` of the token. */
        person: SUBJECT,
        displayName: DISPLAY_NAME,
        role: ROLE,
        mediaNodeId: MEDIA_NODE_ID,
        /** `false` while the connection is broken and the person may come back. */
        isConnected: z.boolean(),
      }),
    )
    .max(MAX_ADMIN_ITEMS),
  leftOut: COUNT,
});
export type AdminPeopleReply = z.infer<typeof ADMIN_PEOPLE_REPLY>;

/** Revokes tokens that were issued until now: of a tenant, a room, a person, or a person in a room (SPEC RJ4). */
export const ADMIN_REVOKE_REQUEST = z.strictObject({
  tenant: TENANT_ID,
  room: ROOM_NAME.optional(),
  person: SUBJECT.optional(),
  /** Whether sessions that began with such tokens end too. */
  end: z.boolean(),
});
export type AdminRevokeRequest = z.infer<typeof ADMIN_REVOKE_REQUEST>;
export const ADMIN_REVOKE_REPLY = z.object({
  edgeId: EDGE_ID,
  /** The number of sessions of this edge that were ended. */
  ended: COUNT,
});
