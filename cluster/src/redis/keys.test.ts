import { describe, expect, it } from 'vitest';
import { NAMESPACE } from '../namespace.ts';
import { room, tenant } from '../testing/samples.ts';
import { KEYS } from '../testing/store-keys.ts';
import { channelPrefixOf, keysOf } from './keys.ts';
import type { StoreKeys } from './keys.ts';

const hashTagOf = (key = ''): string | undefined => /\{([^}]+)\}/.exec(key)?.[1];
const keysOfRoom = (...of: Parameters<typeof room>): string[] => Object.values({ ...KEYS.room(room(...of)) });
const allOf = (keys: StoreKeys): string[] => [
  ...Object.values({ ...keys.room(room('standup')) }),
  ...Object.values({ ...keys.tenant(tenant('acme')) }),
  keys.mediaNodes,
  keys.edges,
  keys.portSlices,
];

describe('keys', () => {
  it('[ST1] all keys of a room share one hash tag, and no two rooms do', () => {
    const keys = keysOfRoom('standup');
    expect(new Set(keys.map((key) => hashTagOf(key)))).toEqual(new Set(['room:acme/standup']));
    expect(new Set(keys).size).toBe(keys.length);
    expect(hashTagOf(keysOfRoom('other')[0])).not.toBe(hashTagOf(keys[0]));
    expect(hashTagOf(keysOfRoom('standup', 'other')[0])).not.toBe(hashTagOf(keys[0]));
  });

  it('[ST1] both keys of a tenant share one hash tag, which is no room’s', () => {
    const tags = Object.values({ ...KEYS.tenant(tenant('standup')) }).map((key) => hashTagOf(key));
    expect(tags).toEqual(['tenant:standup', 'tenant:standup']);
  });

  it('[ST1] all keys of the registry share one hash tag', () => {
    const tags = [KEYS.edges, KEYS.mediaNodes, KEYS.portSlices].map((key) => hashTagOf(key));
    expect(new Set(tags)).toEqual(new Set(['registry']));
  });

  it('[NS1] every key begins with the namespace, and no key belongs to two namespaces', () => {
    const [plenary, staging] = [allOf(KEYS), allOf(keysOf(NAMESPACE.parse('plenary-staging')))];
    for (const key of plenary) expect(key).toMatch(/^plenary:/);
    for (const key of staging) expect(key).toMatch(/^plenary-staging:/);
    for (const bad of ['', 'Plenary', '1st', 'a:b', 'a*', 'a{', 'a/b', 'a b', 'x'.repeat(33)])
      expect(NAMESPACE.safeParse(bad).success, bad).toBe(false);
  });

  it('[NS2] channels contain namespace and database, and none is a prefix of another', () => {
    const prefixes = ['plenary', 'plenary-staging', 'db1'].flatMap((name) =>
      [0, 1, 11].map((database) => channelPrefixOf(NAMESPACE.parse(name), database)),
    );
    for (const [index, prefix] of prefixes.entries()) {
      expect(prefixes.findIndex((other) => prefix.startsWith(`${other}#`) || prefix === other)).toBe(index);
    }
  });
});
