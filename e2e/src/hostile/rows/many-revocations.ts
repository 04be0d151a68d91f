/** An operator's script that revokes the access of everybody who ever came (SECURITY, "Bounds"). */
import { ADMIN_REVOKE_PATH } from '@plenary/cluster/testing/attackers';
import { askAdmin } from '@plenary/deploy/local-cluster';
import type { Answers, Attack } from '../attack.ts';
import { Rival } from '../rival.ts';
import { withRedis } from '../with-redis.ts';
import type { HostileWorld } from '../hostile-world.ts';

const REVOCATIONS = 10_000;
const AT_ONCE = 50;
/** No token is valid for longer than two days (SPEC RJ17). */
const MOST_KEPT_MS = 2 * 86_400_000;

async function revokeAll({ cluster, target }: HostileWorld): Promise<Answers> {
  const answers = new Set<string>();
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < REVOCATIONS) {
      next += 1;
      const body = JSON.stringify({ tenant: Rival.apiKey, person: `nobody-${next}`, end: true });
      const request = { method: 'POST', path: ADMIN_REVOKE_PATH, body };
      answers.add(
        `http ${(await askAdmin({ url: target.operatorUrl }, [cluster.adminToken], request)).status}`,
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return [...answers];
}

export const MANY_REVOCATIONS: Attack = {
  name: 'ten thousand revocations at once',
  world: 'plain',
  description:
    'revokes, as an operator, the access of ten thousand people of another application, fifty at a time',
  allowedAnswers: ['http 200', 'all of it runs out'],
  strike: async (world) => {
    const answers = await revokeAll(world);
    return withRedis(world, async (redis) => {
      const keys = await redis.keys(`*{tenant:${Rival.apiKey}}:*person:*`);
      const times = await Promise.all(keys.map(async (key) => redis.pttl(key)));
      for (let index = 0; index < keys.length; index += 1_000)
        await redis.del(...keys.slice(index, index + 1_000));
      if (keys.length < REVOCATIONS) return [...answers, `${keys.length} keys`];
      const isBounded = times.every((ms) => ms > 0 && ms <= MOST_KEPT_MS);
      return [...answers, isBounded ? 'all of it runs out' : 'some of it stays'];
    });
  },
};
