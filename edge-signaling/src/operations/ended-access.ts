import { CLOCK_LEEWAY_SECONDS, forgetOldest } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { RoomId, TenantId } from '@plenary/cluster/ids';
import type { Session } from '../entry/session.ts';

/** Whose sessions are ended. */
export interface EndedScope {
  readonly tenantId: TenantId;
  readonly roomId: RoomId | undefined;
  readonly person: string | undefined;
}

type SessionOfSomebody = Pick<Session, 'roomId' | 'joinedAtMs'> & {
  readonly grants: Pick<Session['grants'], 'tenant' | 'sub'>;
};

/** For so long joins that are under way may yet come up here. Resumes ask the store as well, which remembers for longer. */
const REMEMBERED_MS = 90_000;
/** Tokens that were issued within the leeway after a revocation are refused as well: no later session began by then. */
const LEEWAY_MS = CLOCK_LEEWAY_SECONDS * 1_000;

/** Far more than operators end in that time; which sessions are over is in the store as well. */
const MAX_REMEMBERED = 100_000;

/** What was ended a moment ago, so that who was on the way in does not stay (SPEC OP4). */
export class EndedAccess {
  readonly #clock: Clock;
  /** When each scope was ended last, the oldest first: an operator's script may end thousands at once. */
  readonly #endedAtMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(scope: EndedScope): void {
    const nowMs = this.#clock.wallMs();
    for (const [key, atMs] of this.#endedAtMs) {
      if (atMs > nowMs - REMEMBERED_MS) break;
      this.#endedAtMs.delete(key);
    }
    const key = keyOf(scope);
    this.#endedAtMs.delete(key);
    this.#endedAtMs.set(key, nowMs);
    forgetOldest(this.#endedAtMs, MAX_REMEMBERED);
  }

  covers({ roomId, joinedAtMs, grants }: SessionOfSomebody): boolean {
    const nowMs = this.#clock.wallMs();
    return [undefined, roomId].some((ofRoom) =>
      [undefined, grants.sub].some((person) => {
        const atMs = this.#endedAtMs.get(keyOf({ tenantId: grants.tenant, roomId: ofRoom, person }));
        return atMs !== undefined && atMs > nowMs - REMEMBERED_MS && joinedAtMs <= atMs + LEEWAY_MS;
      }),
    );
  }
}

function keyOf({ tenantId, roomId, person }: EndedScope): string {
  return JSON.stringify([tenantId, roomId ?? null, person ?? null]);
}

export function isOf(scope: EndedScope, { roomId, grants }: Omit<SessionOfSomebody, 'joinedAtMs'>): boolean {
  return (
    grants.tenant === scope.tenantId &&
    (scope.roomId === undefined || scope.roomId === roomId) &&
    (scope.person === undefined || scope.person === grants.sub)
  );
}
