/** The Redis users that are shipped, as operators include them, with passwords of tests. */
import { readFile } from 'node:fs/promises';
import type { Redis } from 'ioredis';
import { z } from 'zod';

const SHIPPED = new URL('../../../deploy/redis/users/', import.meta.url);

export const USER_KINDS = ['edge', 'media-node', 'operator'] as const;
/** Whose user it is. */
export type UserKind = (typeof USER_KINDS)[number];

export interface RedisUser {
  readonly username: string;
  readonly password: string;
}

export function userOf(kind: UserKind): RedisUser {
  return { username: `plenary-${kind}`, password: `password-of-${kind}` };
}

/** The shipped file of a user. */
export async function shippedUser(kind: UserKind): Promise<string> {
  return readFile(new URL(`${kind}.conf`, SHIPPED), 'utf8');
}

/** Lines for the configuration of a server. */
export async function usersConfiguration(): Promise<string> {
  const users = await Promise.all(
    USER_KINDS.map(async (kind) =>
      (await shippedUser(kind)).replace(`>CHANGE-ME-${kind}`, `>${userOf(kind).password}`),
    ),
  );
  return users.join('\n');
}

export function urlOfUser(kind: UserKind, port: number): string {
  const { username, password } = userOf(kind);
  return `redis://${username}:${password}@127.0.0.1:${port}`;
}

/** An entry of `ACL LOG`: names and values in turns. */
const REFUSAL = z.array(z.unknown()).transform((entry) => {
  const value = (name: string): string => String(entry[entry.indexOf(name) + 1]);
  return `${value('username')}: ${value('reason')} ${value('object')} (${value('context')})`;
});

/** What users asked a server for that they may not, each kind once. */
export async function refusalsOf(redis: Redis): Promise<readonly string[]> {
  return z.array(REFUSAL).parse(await redis.call('ACL', 'LOG', '100'));
}
