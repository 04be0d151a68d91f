/** Whoever has the key of one process is no operator of another (SECURITY, "A media node that was taken over"). */
import { ADMIN_REVOKE_PATH, adminKey, authorizationOf } from '@plenary/cluster/testing/attackers';
import type { AdminSubject } from '@plenary/cluster/testing/attackers';
import { askAdmin } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import type { Answers, Attack } from '../attack.ts';
import { over } from '../attack.ts';
import type { HostileWorld } from '../hostile-world.ts';

const CHALLENGE = z.object({ challenge: z.string() });

async function challengeOf(url: string): Promise<string> {
  const response = await fetch(new URL('/admin/challenge', url), { method: 'POST' });
  return CHALLENGE.parse(await response.json()).challenge;
}

async function revoke(url: string, authorization: string, body: string): Promise<string> {
  const init = { method: 'POST', headers: { authorization }, body };
  return `http ${(await fetch(new URL(ADMIN_REVOKE_PATH, url), init)).status}`;
}

/** Throws everybody of the meeting out, by every key but the right one. */
async function attempts(world: HostileWorld): Promise<Answers> {
  const { cluster, target, targetNode } = world;
  const body = JSON.stringify({ tenant: cluster.apiKey, end: true });
  const request = { method: 'POST', path: ADMIN_REVOKE_PATH, body };
  const others: readonly AdminSubject[] = [
    { kind: 'media-node', id: targetNode.id },
    { kind: 'media-node', id: target.id },
    ...cluster.edges.filter(({ id }) => id !== target.id).map(({ id }) => ({ kind: 'edge' as const, id })),
  ];
  const answers: string[] = [];
  for (const subject of others) {
    const key = adminKey(cluster.adminToken, subject);
    const challenge = await challengeOf(target.operatorUrl);
    answers.push(await revoke(target.operatorUrl, authorizationOf(key, challenge, request), body));
  }
  const own = adminKey(cluster.adminToken, { kind: 'edge', id: target.id });
  // Of another process, for another request, and with what an operator's tool sent before.
  const [other] = cluster.edges.filter(({ id }) => id !== target.id);
  const foreign = await challengeOf(other?.operatorUrl ?? '');
  answers.push(await revoke(target.operatorUrl, authorizationOf(own, foreign, request), body));
  const harmless = JSON.stringify({ tenant: cluster.apiKey, room: 'nobody-is-here', end: false });
  const authorization = authorizationOf(own, await challengeOf(target.operatorUrl), {
    ...request,
    body: harmless,
  });
  answers.push(await revoke(target.operatorUrl, authorization, body));
  answers.push(await revoke(target.operatorUrl, `Bearer ${cluster.apiSecret}`, body));
  // The key itself works, so that what was refused was refused for its key.
  const asked = { method: 'GET', path: '/admin/drain' };
  const { status } = await askAdmin({ url: target.operatorUrl }, [cluster.adminToken], asked);
  return status === 200 ? answers : [...answers, `an operator: http ${status}`];
}

export const FOREIGN_OPERATORS: Attack = {
  name: 'revocations by another process’ key',
  world: 'plain',
  does: 'throws everybody of the meeting out as an operator, with the keys of other processes, foreign challenges and a proof of something else',
  gets: ['http 401'],
  strike: (world, isOver) => over(isOver, () => attempts(world)),
};
