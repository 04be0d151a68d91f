import { ManualClock } from '@plenary/cluster';
import { tenantOf } from '@plenary/cluster/ids';
import { room, tenant } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { ROOM } from '../testing/edge-parts.ts';
import { EndedAccess } from './ended-access.ts';
import type { EndedScope } from './ended-access.ts';

const TENANT = tenantOf(ROOM);

describe('what was ended a moment ago', () => {
  const begin = () => {
    const clock = new ManualClock();
    const ended = new EndedAccess(clock);
    const ann = { roomId: ROOM, joinedAtMs: clock.wallMs(), grants: { tenant: TENANT, sub: 'ann' } };
    return { clock, ended, ann };
  };

  it.each([
    ['of the tenant', { roomId: undefined, person: undefined }, true],
    ['of the room', { roomId: ROOM, person: undefined }, true],
    ['of the person', { roomId: undefined, person: 'ann' }, true],
    ['of the person in the room', { roomId: ROOM, person: 'ann' }, true],
    ['of another room', { roomId: room('other'), person: undefined }, false],
    ['of another person', { roomId: ROOM, person: 'bob' }, false],
  ])('[OP15] is found %s among ten thousand others', (_of, scope, isCovered) => {
    const { ended, ann } = begin();
    ended.note({ tenantId: TENANT, ...scope });
    for (let index = 0; index < 10_000; index += 1)
      ended.note({ tenantId: TENANT, roomId: undefined, person: `somebody-${index}` });
    expect(ended.covers(ann)).toBe(isCovered);
    expect(ended.covers({ ...ann, grants: { ...ann.grants, tenant: tenant('another') } })).toBe(false);
  });

  it('[OP15] is forgotten after ninety seconds, and what was ended again since then is not', () => {
    const { clock, ended, ann } = begin();
    const scopes: readonly EndedScope[] = [
      { tenantId: TENANT, roomId: ROOM, person: undefined },
      { tenantId: TENANT, roomId: undefined, person: 'bob' },
    ];
    for (const scope of scopes) ended.note(scope);
    clock.advance(60_000);
    ended.note({ tenantId: TENANT, roomId: ROOM, person: undefined });
    clock.advance(60_000);
    expect(ended.covers(ann)).toBe(true);
    expect(ended.covers({ ...ann, roomId: room('other'), grants: { tenant: TENANT, sub: 'bob' } })).toBe(
      false,
    );
    clock.advance(30_000);
    expect(ended.covers(ann)).toBe(false);
  });
});
