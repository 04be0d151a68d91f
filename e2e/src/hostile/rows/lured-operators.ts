/** Operators' tools find processes in a store that an attacker can write to (SECURITY, "Whoever can write to Redis"). */
import { randomUUID } from 'node:crypto';
import { KEYS } from '@plenary/cluster/testing/store-keys';
import { tryPlenaryctl } from '../../harness/plenaryctl.ts';
import type { Attack } from '../attack.ts';
import { repeatEachUntil } from '../attack.ts';
import { Lure, secretsOf } from '../lure.ts';
import { Rival } from '../rival.ts';
import { withRedis } from '../with-redis.ts';

const LURE_ID = 'mallory';
const CHALLENGE = JSON.stringify({ kind: 'edge', id: LURE_ID, challenge: randomUUID() });

export const LURED_OPERATORS: Attack = {
  name: 'an edge that only the registry names, for operators',
  world: 'plain',
  description:
    'writes an edge with its own operators’ port into Redis, answers there with a challenge, and waits for plenaryctl to list rooms and people and to revoke access',
  allowedAnswers: ['told of it, heard no secret'],
  strike: (world, isOver) =>
    withRedis(world, async (redis) => {
      const [record = ''] = await redis.hvals(KEYS.edges);
      const [, , json = '{}'] = /^([^|]*\|[^|]*)\|(.*)$/s.exec(record) ?? [];
      const lure = new Lure(CHALLENGE);
      const operatorUrl = await lure.listen();
      const forged = JSON.stringify({ ...(JSON.parse(json) as object), edgeId: LURE_ID, operatorUrl });
      const { redisUrl, adminToken, edges } = world.cluster;
      const commands = [
        ['rooms'],
        ['people', Rival.apiKey, 'nobody-is-here'],
        ['revoke', Rival.apiKey, '--room', 'nobody-is-here', '--end'],
      ];
      try {
        return await repeatEachUntil(
          isOver,
          () => commands,
          async (command) => {
            await redis.hset(KEYS.edges, LURE_ID, `${Date.now() + 60_000}|${randomUUID()}|${forged}`);
            lure.received = '';
            const env = { REDIS_URL: redisUrl, PLENARY_ADMIN_TOKEN: adminToken };
            const { exitCode, stdout, stderr } = await tryPlenaryctl(command, env);
            const text = `${stdout}${stderr}`;
            if (!lure.received.includes('Plenary ')) return `${command[0]} did not call: ${text}`;
            if (secretsOf(world).some((secret) => lure.received.includes(secret))) return 'heard a secret';
            const isTold = exitCode === 1 && text.includes(`does not prove to be ${LURE_ID}`);
            if (!isTold) return `${command[0]} exits with ${exitCode}: ${text}`;
            // A proof that was given there must not work at any other process.
            const [, proof = ''] = /^authorization: (Plenary .*)$/im.exec(lure.received) ?? [];
            for (const edge of edges) {
              const headers = { authorization: proof.trim() };
              const { status } = await fetch(new URL('/admin/drain', edge.operatorUrl), { headers });
              if (status !== 401) return `a proof of another process is answered with ${status}`;
            }
            return 'told of it, heard no secret';
          },
        );
      } finally {
        await redis.hdel(KEYS.edges, LURE_ID);
        const left = await redis.keys(`*{tenant:${Rival.apiKey}}:*room:${Rival.apiKey}/nobody-is-here*`);
        if (left.length > 0) await redis.del(...left);
        await lure.close();
      }
    }),
};
