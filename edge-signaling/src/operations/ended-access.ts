import { CLOCK_LEEWAY_SECONDS } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { RoomId, TenantId } from '@plenary/cluster/ids';
import type { Session } from '../session/session.ts';

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

/** What was ended a moment ago, so that who was on the way in does not stay (SPEC OP4). */
export class EndedAccess {
  readonly #clock: Clock;
  #ended: readonly { readonly scope: EndedScope; readonly atMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(scope: EndedScope): void {
    const nowMs = this.#clock.wallMs();
    this.#ended = [...this.#ended.filter(({ atMs }) => atMs > nowMs - REMEMBERED_MS), { scope, atMs: nowMs }];
  }

  covers(session: SessionOfSomebody): boolean {
    const nowMs = this.#clock.wallMs();
    return this.#ended.some(
      ({ scope, atMs }) =>
        atMs > nowMs - REMEMBERED_MS && session.joinedAtMs <= atMs + LEEWAY_MS && isOf(scope, session),
    );
  }
}

export function isOf(scope: EndedScope, { roomId, grants }: Omit<SessionOfSomebody, 'joinedAtMs'>): boolean {
  return (
    grants.tenant === scope.tenantId &&
    (scope.roomId === undefined || scope.roomId === roomId) &&
    (scope.person === undefined || scope.person === grants.sub)
  );
}
