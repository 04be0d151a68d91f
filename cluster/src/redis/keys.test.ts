import { describe, expect, it } from 'vitest';
import { room, tenant } from '../testing/samples.ts';
import { EDGES_KEY, KEY_PREFIX, MEDIA_NODES_KEY, roomKeys, tenantKeys } from './keys.ts';

const hashTagOf = (key: string): string | undefined => /\{([^}]+)\}/.exec(key)?.[1];

describe('keys', () => {
  it('[ST1] all keys of a room share one hash tag, and no two rooms do', () => {
    const keys = roomKeys(room('standup'));
    expect(new Set(keys.map(hashTagOf))).toEqual(new Set(['room:acme/standup']));
    expect(new Set(keys).size).toBe(keys.length);
    expect(hashTagOf(roomKeys(room('other'))[0])).not.toBe(hashTagOf(keys[0]));
    expect(hashTagOf(roomKeys(room('standup', 'other'))[0])).not.toBe(hashTagOf(keys[0]));
  });

  it('[ST1] both keys of a tenant share one hash tag, which is no room’s', () => {
    const tags = tenantKeys(tenant('standup')).map(hashTagOf);
    expect(tags).toEqual(['tenant:standup', 'tenant:standup']);
  });

  it('[ST1] all keys of the registry share one hash tag, and everything is under our prefix', () => {
    expect(hashTagOf(EDGES_KEY)).toBe(hashTagOf(MEDIA_NODES_KEY));
    for (const key of [
      ...roomKeys(room('standup')),
      ...tenantKeys(tenant('acme')),
      EDGES_KEY,
      MEDIA_NODES_KEY,
    ]) {
      expect(key.startsWith(KEY_PREFIX)).toBe(true);
    }
  });
});
