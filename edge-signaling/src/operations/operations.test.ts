import { ADMIN_REVOKE_PATH, PlenaryError } from '@plenary/cluster';
import type { AdminAnswer } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { EdgeParts, OWN_EDGE, ROOM } from '../testing/edge-parts.ts';
import type { Session } from '../entry/session.ts';
import { tenantOf } from '@plenary/cluster/ids';
import { EndedAccess } from './ended-access.ts';
import { edgeOperations } from './operations.ts';

/** An edge with one person, whose store answers a revocation with this. */
async function edgeWithAnn(answer: () => Promise<void>) {
  const parts = new EdgeParts();
  const { localRooms, clock } = parts;
  const ann = parts.hold(await parts.place('ann', 'node-a'));
  const ended: Session[] = [];
  const endedAccess = new EndedAccess(clock);
  const actions = edgeOperations({
    edgeId: OWN_EDGE,
    isTenant: () => true,
    tenants: { revoke: answer },
    localRooms,
    keeper: {
      remove: (session) => {
        ended.push(session);
        return Promise.resolve();
      },
    },
    endedAccess,
    rejoinWithinSeconds: 60,
  });
  const revoke = async (end: boolean): Promise<AdminAnswer | undefined> =>
    actions[ADMIN_REVOKE_PATH]?.({ tenant: tenantOf(ROOM), end });
  return { ann, ended, endedAccess, revoke };
}

const REFUSED = new PlenaryError('store_unavailable');

describe('an operator who takes access away', () => {
  it('[OP4] ends sessions before the store answers, and where it refuses, and is told both', async () => {
    const { ann, ended, endedAccess, revoke } = await edgeWithAnn(() => {
      // By now who is in has to go already.
      expect([ended, endedAccess.covers(ann)]).toEqual([[ann], true]);
      return Promise.reject(REFUSED);
    });
    const answer = await revoke(true);
    expect(answer?.status).toBe(503);
    expect(JSON.stringify(answer?.body)).toMatch(/store_unavailable.*1 session ended here.*ask again/);
  });

  it('[OP4] without --end ends nobody, also where the store refuses', async () => {
    const { ann, ended, endedAccess, revoke } = await edgeWithAnn(() => Promise.reject(REFUSED));
    expect((await revoke(false))?.status).toBe(503);
    expect([ended, endedAccess.covers(ann)]).toEqual([[], false]);
  });

  it('[OP4] a fault that is none of the store is no answer', async () => {
    const { ended, revoke } = await edgeWithAnn(() => Promise.reject(new Error('a bug')));
    await expect(revoke(true)).rejects.toThrow('a bug');
    expect(ended).toHaveLength(1);
  });
});
