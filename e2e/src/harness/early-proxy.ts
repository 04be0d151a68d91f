import type { RunningEdge } from '@plenary/deploy/local-cluster';
import type { Proxy } from './proxy.ts';
import { until } from './until.ts';
import type { Visitor } from './visitor.ts';

/** Starts a proxy before any edge, and the edges once the proxy has found them all down. Resolves when people can join. */
export async function startBeforeEdges(
  proxy: Proxy,
  edges: readonly RunningEdge[],
  visitor: Visitor,
): Promise<void> {
  await Promise.all(edges.map((edge) => edge.kill('SIGKILL')));
  await proxy.restart();
  await until(
    'the proxy to answer that no edge serves',
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
    'people to join',
    async () =>
      visitor.joinedEdge('early').then(
        ({ edgeId }) => edgeId,
        (error: Error) => error.message,
      ),
    (outcome) => edges.some(({ id }) => id === outcome),
  );
  visitor.leave();
}
