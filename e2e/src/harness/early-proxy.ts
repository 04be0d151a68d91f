import type { RunningEdge } from '@plenary/deploy/local-cluster';
import type { Proxy } from './proxy.ts';
import { until } from './until.ts';
import type { Visitor } from './visitor.ts';

/** Starts a proxy while no edge is there, and the edges when it has found that nobody serves. Settles when people get in. */
export async function startBeforeEdges(
  proxy: Proxy,
  edges: readonly RunningEdge[],
  visitor: Visitor,
): Promise<void> {
  await Promise.all(edges.map((edge) => edge.kill('SIGKILL')));
  await proxy.restart();
  await until(
    'the proxy to say that nobody serves',
    async () => {
      proxy.assertRuns();
      return visitor.get('/').then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      );
    },
    (status) => /^50[234]$/.test(status),
  );
  await Promise.all(edges.map((edge) => edge.restart()));
  await until(
    'people to get in',
    async () =>
      visitor.joinedEdge('early').then(
        ({ edgeId }) => edgeId,
        (error: Error) => error.message,
      ),
    (outcome) => edges.some(({ id }) => id === outcome),
  );
  visitor.leave();
}
