/** The key of one process does not make an operator of another (SECURITY, "A media node that was taken over"). */
import { ADMIN_REVOKE_PATH, adminKey, authorizationOf } from '@plenary/cluster/testing/attackers';
import type { AdminSubject } from '@plenary/cluster/testing/attackers';
import { askAdmin } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import type { Answers, Attack } from '../attack.ts';
import { repeatUntil } from '../attack.ts';
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

/** Tries to remove everybody from the meeting, with every key but the right one. */
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
  // A challenge of another process, a proof for another request, and what an operator's tool sent before.
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
  // The right key works, so the refusals were because of the key.
  const question = { method: 'GET', path: '/admin/drain' };
  const { status } = await askAdmin({ url: target.operatorUrl }, [cluster.adminToken], question);
  return status === 200 ? answers : [...answers, `an operator: http ${status}`];
}

export const FOREIGN_OPERATORS: Attack = {
  name: 'revocations with another process’s key',
  world: 'plain',
  description:
    'removes everybody from the meeting as an operator, with the keys of other processes, foreign challenges and the proof of another request',
  allowedAnswers: ['http 401'],
  strike: (world, isOver) => repeatUntil(isOver, () => attempts(world)),
};
