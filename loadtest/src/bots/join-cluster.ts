import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { makeJoinToken } from '../join-token.ts';
import { Bot } from './bot.ts';
import type { BotOptions } from './bot.ts';

/**
 * Has a bot join on the first edge of a local cluster.
 * @param datacenter - the datacenter that it announces; the edge's by default
 * @throws PlenaryError the join's refusal; Error if the cluster has no edge
 */
export async function joinCluster(
  cluster: LocalCluster,
  { datacenter, ...options }: Omit<BotOptions, 'edgeUrl' | 'token'> & { readonly datacenter?: string },
): Promise<Bot> {
  const [edge] = cluster.edges;
  if (edge === undefined) throw new Error('The cluster has no edge.');
  const { name, roomId } = options;
  const whereabouts = datacenter === undefined ? {} : { datacenter };
  const token = makeJoinToken(cluster, { subject: name, roomId, ...whereabouts });
  return Bot.join({ ...options, edgeUrl: edge.url, token });
}
