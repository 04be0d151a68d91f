import { CARRIED_EVENT, EDGE_NOTICES } from '@plenary/cluster/protocol';
import { z } from 'zod';

/**
 * The notices that reach a room on all edges; other notices go from an edge to its own clients. Events of a later release, during
 * an upgrade, are passed on unchanged (SPEC PR18).
 */
export const ROOM_NOTICE = z.union([
  z.tuple([z.literal('event'), CARRIED_EVENT]),
  z.tuple([z.literal('speakers'), EDGE_NOTICES.speakers.payload]),
]);
export type RoomNoticeName = z.infer<typeof ROOM_NOTICE>[0];
