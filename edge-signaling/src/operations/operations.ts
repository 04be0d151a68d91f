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
  toPlenaryError,
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
import type { SessionKeeper } from '../entry/session-keeper.ts';
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
      return revoke(settings, request);
    }),
  };
}

/**
 * Sessions end first, and whatever the store says: an operator who throws somebody out needs no healthy store for it. What tokens
 * grant is in the store alone, so that this has to be asked for again where the store did not take it.
 */
async function revoke(settings: OperationsSettings, request: AdminRevokeRequest): Promise<AdminAnswer> {
  const { edgeId, tenants, localRooms, keeper, endedAccess, rejoinWithinSeconds } = settings;
  const { tenant: tenantId, room, person, end } = request;
  const roomId = room === undefined ? undefined : roomIdOf(tenantId, room);
  const scope: EndedScope = { tenantId, roomId, person };
  if (end) endedAccess.note(scope);
  const here = roomId === undefined ? localRooms.sessions() : localRooms.sessionsIn(roomId);
  const sessions = end ? here.filter((session) => isOf(scope, session)) : [];
  const ending = Promise.all(sessions.map(async (session) => keeper.remove(session)));
  // As long as such a token could be valid, by whatever clock.
  const forSeconds = Math.max(rejoinWithinSeconds, MAX_JOIN_TOKEN_SECONDS) + MAX_JOIN_TOKEN_SECONDS;
  const ofTokens = {
    ...(roomId === undefined ? {} : { roomId }),
    ...(person === undefined ? {} : { subject: person }),
  };
  const forMs = (forSeconds + CLOCK_LEEWAY_SECONDS) * 1_000;
  const [stored] = await Promise.allSettled([tenants.revoke(tenantId, ofTokens, forMs, end), ending]);
  const ended = sessions.length;
  if (stored.status === 'fulfilled') {
    await ending;
    return ok({ edgeId, ended });
  }
  const { code } = toPlenaryError(stored.reason);
  if (code !== 'store_unavailable') throw stored.reason;
  const told = `${ended} ${ended === 1 ? 'session' : 'sessions'} ended here; tokens still let people in, ask again once it is back`;
  return { status: 503, body: { error: `${code}: the store does not take it. ${told}` } };
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
