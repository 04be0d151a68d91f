import type { LocalCluster } from './cluster.ts';

/**
 * What a person wants to know when the cluster stands, as lines for a terminal.
 * @param took how long the start took, for people
 */
export function describeCluster(cluster: LocalCluster, took: string, hasWeb: boolean): string {
  const lines = ['', `Plenary is up (${took}).`, ''];
  const shown = new Set<string>();
  for (const edge of cluster.edges) {
    const extra = shown.has(edge.datacenter) ? ', another edge there' : '';
    shown.add(edge.datacenter);
    lines.push(`  ${`${edge.publicUrl}/`.padEnd(28)} datacenter ${edge.datacenter}${extra}`);
  }
  if (!hasWeb) lines.push('  (without the web app: only the protocol is served)');
  const mediaDatacenters = new Set(cluster.mediaNodes.map(({ datacenter }) => datacenter));
  if (shown.size > 1 && mediaDatacenters.size > 1 && hasWeb) {
    lines.push('');
    lines.push('Open one of each in two browsers and join the same room: the two people hang on');
    lines.push('different media nodes, and a pipe between the nodes carries what they say and show.');
  }
  lines.push('');
  for (const edge of cluster.edges) {
    lines.push(`  ${edge.id.padEnd(14)} process ${String(edge.pid).padEnd(8)} ${edge.operatorUrl}/metrics`);
  }
  for (const node of cluster.mediaNodes) {
    const slice = `${node.portSlice.first}-${node.portSlice.last}`;
    lines.push(
      `  ${node.id.padEnd(14)} process ${String(node.pid).padEnd(8)} ${node.operatorUrl}/metrics   RTP ${node.announcedAddress}:${slice}`,
    );
  }
  const redis = cluster.redis === null ? 'given by REDIS_URL' : `process ${cluster.redis.pid}`;
  lines.push(
    `  ${'redis'.padEnd(14)} ${redis.padEnd(16)} ${cluster.redis === null ? '' : cluster.redisUrl}`.trimEnd(),
  );
  lines.push('');
  lines.push(`  ${cluster.clusterFile} names all of this for tools.`);
  lines.push(`  ${cluster.dataDir}/credentials.json has the API key and secret of this start.`);
  lines.push(`  ${cluster.dataDir}/logs has every process's full log; warnings and errors are shown here.`);
  lines.push('', 'Ctrl-C stops everything.', '');
  return lines.join('\n');
}
