import { fetchMetrics, readMetric } from './prometheus.ts';

/** The sums of the edge's measurements of joins since it started. */
interface ServerSums {
  readonly joins: number;
  readonly joinSeconds: number;
  readonly admits: number;
  readonly admitSeconds: number;
}

/** Means of the server's part of a join, in milliseconds. */
export interface ServerTimes {
  /** From the join's arrival at the edge to its answer. */
  readonly joinMs: number;
  /** The part of it that the media node's admission takes: two transports, connected, and the first consumers. */
  readonly admitMs: number;
}

export async function readServerSums(edgeUrl: string): Promise<ServerSums> {
  const text = await fetchMetrics(edgeUrl);
  const sum = (metric: string, name?: string): number =>
    readMetric(text, metric)
      .filter(({ labels }) => name === undefined || labels['name'] === name)
      .reduce((total, { value }) => total + value, 0);
  return {
    joins: sum('plenary_edge_join_seconds_count'),
    joinSeconds: sum('plenary_edge_join_seconds_sum'),
    admits: sum('plenary_edge_control_call_seconds_count', 'peer.admit'),
    admitSeconds: sum('plenary_edge_control_call_seconds_sum', 'peer.admit'),
  };
}

export function meanBetween(before: ServerSums, after: ServerSums): ServerTimes | null {
  const [joins, admits] = [after.joins - before.joins, after.admits - before.admits];
  if (joins === 0 || admits === 0) return null;
  return {
    joinMs: ((after.joinSeconds - before.joinSeconds) * 1_000) / joins,
    admitMs: ((after.admitSeconds - before.admitSeconds) * 1_000) / admits,
  };
}
