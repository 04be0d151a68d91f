import {
  ADMIN_PEOPLE_PATH,
  ADMIN_PEOPLE_REQUEST,
  ADMIN_REVOKE_PATH,
  ADMIN_REVOKE_REQUEST,
  ADMIN_ROOMS_PATH,
  ADMIN_ROOMS_REQUEST,
  CLOCK_LEEWAY_SECONDS,
  describeIssues,
  MAX_ADMIN_ITEMS,
  MAX_JOIN_TOKEN_SECONDS,
} from '@plenary/cluster';
import type {
  AdminActions,
  AdminAnswer,
  AdminPeopleReply,
  AdminRevokeRequest,
  AdminRoomsReply,
  TenantStore,
} from '@plenary/cluster';
import { roomIdOf, roomNameOf, tenantOf } from '@plenary/cluster/ids';
import type { EdgeId, TenantId } from '@plenary/cluster/ids';
import type { z } from 'zod';
import type { LocalRooms } from '../room/local-rooms.ts';
import type { SessionKeeper } from '../session/keeper.ts';
import { isOf } from './ended-access.ts';
import type { EndedAccess, EndedScope } from './ended-access.ts';

export interface OperationsSettings {
  readonly edgeId: EdgeId;
  /** Whether an application of that name is configured: what is misspelt is not to be taken for done. */
  readonly isTenant: (tenantId: TenantId) => boolean;
  readonly tenants: Pick<TenantStore, 'revoke'>;
  readonly localRooms: Pick<LocalRooms, 'roomIds' | 'sessionsIn' | 'sessions'>;
  readonly keeper: Pick<SessionKeeper, 'remove'>;
  readonly endedAccess: Pick<EndedAccess, 'note'>;
  readonly rejoinWithinSeconds: number;
}

/** What operators see of this edge's rooms, by tenant, and take away from their people (SPEC OP4). */
export function edgeOperations(settings: OperationsSettings): AdminActions {
  const { edgeId, localRooms } = settings;
  return {
    [ADMIN_ROOMS_PATH]: taking(ADMIN_ROOMS_REQUEST, ({ tenant }) => {
      const all = localRooms
        .roomIds()
        .filter((roomId) => tenant === undefined || tenantOf(roomId) === tenant);
      const rooms = all.sort().slice(0, MAX_ADMIN_ITEMS);
      const named = rooms.map((roomId) => ({
        tenant: tenantOf(roomId),
        room: roomNameOf(roomId),
        sessions: localRooms.sessionsIn(roomId).length,
      }));
      return ok({ edgeId, rooms: named, leftOut: all.length - rooms.length } satisfies AdminRoomsReply);
    }),
    [ADMIN_PEOPLE_PATH]: taking(ADMIN_PEOPLE_REQUEST, ({ tenant, room }) => {
      const all = localRooms.sessionsIn(roomIdOf(tenant, room));
      const people = all.slice(0, MAX_ADMIN_ITEMS).map((session) => ({
        peerId: session.peerId,
        person: session.grants.sub,
        displayName: session.displayName,
        role: session.grants.role,
        mediaNodeId: session.media.mediaNodeId,
        isConnected: session.socket !== undefined,
      }));
      return ok({ edgeId, people, leftOut: all.length - people.length } satisfies AdminPeopleReply);
    }),
    [ADMIN_REVOKE_PATH]: taking(ADMIN_REVOKE_REQUEST, async (request) => {
      if (!settings.isTenant(request.tenant))
        return { status: 404, body: { error: `${request.tenant} is no API key of this edge` } };
      return ok({ edgeId, ended: await revoke(settings, request) });
    }),
  };
}

/** @returns how many sessions ended here */
async function revoke(settings: OperationsSettings, request: AdminRevokeRequest): Promise<number> {
  const { tenants, localRooms, keeper, endedAccess, rejoinWithinSeconds } = settings;
  const { tenant: tenantId, room, person, end } = request;
  const roomId = room === undefined ? undefined : roomIdOf(tenantId, room);
  const scope: EndedScope = { tenantId, roomId, person };
  // As long as such a token could be valid, by whatever clock.
  const forSeconds = Math.max(rejoinWithinSeconds, MAX_JOIN_TOKEN_SECONDS) + MAX_JOIN_TOKEN_SECONDS;
  const ofTokens = {
    ...(roomId === undefined ? {} : { roomId }),
    ...(person === undefined ? {} : { subject: person }),
  };
  await tenants.revoke(tenantId, ofTokens, (forSeconds + CLOCK_LEEWAY_SECONDS) * 1_000);
  if (!end) return 0;
  endedAccess.note(scope);
  const sessions = localRooms.sessions().filter((session) => isOf(scope, session));
  await Promise.all(sessions.map(async (session) => keeper.remove(session)));
  return sessions.length;
}

const ok = (body: unknown): AdminAnswer => ({ status: 200, body });

/** An action on what fits its schema. */
function taking<Request>(
  schema: z.ZodType<Request>,
  act: (request: Request) => AdminAnswer | Promise<AdminAnswer>,
): (body: unknown) => Promise<AdminAnswer> {
  return async (body) => {
    const asked = schema.safeParse(body);
    if (!asked.success) return { status: 400, body: { error: describeIssues(asked.error) } };
    return act(asked.data);
  };
}
