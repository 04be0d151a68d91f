import { askAdmin } from '@plenary/deploy/local-cluster';
import { z } from 'zod';
import { until } from './until.ts';

/** The part of a drain's status that these tests read, written out as an operator's own tool would. */
const STATUS = z.object({
  state: z.enum(['serving', 'draining', 'drained']),
  left: z.number(),
  gone: z.number(),
  cut: z.number(),
});
export type DrainStatus = z.infer<typeof STATUS>;

interface Drainable {
  readonly id: string;
  readonly operatorUrl: string;
}

async function ask(
  node: Drainable,
  adminToken: string,
  method: string,
  body?: unknown,
): Promise<DrainStatus> {
  const { status, body: reply } = await askAdmin({ url: node.operatorUrl }, [adminToken], {
    method,
    path: '/admin/drain',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (status !== 200) throw new Error(`${node.id} answered ${status}: ${JSON.stringify(reply)}`);
  return STATUS.parse(reply);
}

/** Drains a process and waits until it is done. */
export async function drain(node: Drainable, adminToken: string, deadlineMs = 60_000): Promise<DrainStatus> {
  await ask(node, adminToken, 'POST', { deadlineMs, id: node.id });
  return until(
    `${node.id} is drained`,
    () => ask(node, adminToken, 'GET'),
    ({ state }) => state === 'drained',
    deadlineMs + 10_000,
  );
}

export async function undrain(node: Drainable, adminToken: string): Promise<DrainStatus> {
  return ask(node, adminToken, 'DELETE');
}
