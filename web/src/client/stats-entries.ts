/** One entry of a browser's statistics (W3C webrtc-stats). */
export type StatsEntry = Readonly<Record<string, unknown>>;

/** A transport, a producer or a consumer. */
export interface HasStats {
  readonly closed: boolean;
  getStats(): Promise<RTCStatsReport>;
}

/** Reads the statistics of a transport, producer or consumer; returns an empty list when it closes meanwhile. */
export async function entriesOf(source: HasStats): Promise<StatsEntry[]> {
  if (source.closed) return [];
  try {
    const entries: StatsEntry[] = [];
    (await source.getStats()).forEach((entry: StatsEntry) => entries.push(entry));
    return entries;
  } catch (thrown) {
    // A close during the collection is expected; any other error is a fault and must be visible.
    if (source.closed) return [];
    throw thrown;
  }
}

/** Reads a numeric field; 0 when the browser does not report it. */
export function numberOf(entry: StatsEntry | undefined, field: string): number {
  const value = entry?.[field];
  return typeof value === 'number' ? value : 0;
}

/**
 * Counts the answered connectivity checks of a transport. While the count grows, the path works. `undefined` when the browser does
 * not report it.
 */
export async function iceAnswers(transport: HasStats): Promise<number | undefined> {
  const pairs = (await entriesOf(transport)).filter(
    (entry) => entry['type'] === 'candidate-pair' && typeof entry['responsesReceived'] === 'number',
  );
  if (pairs.length === 0) return undefined;
  return pairs.reduce((sum, pair) => sum + numberOf(pair, 'responsesReceived'), 0);
}

/** Media bytes that a transport has sent so far, as reported by the browser. */
export async function sentBytes(transport: HasStats): Promise<number> {
  const sent = (await entriesOf(transport)).filter(({ type }) => type === 'outbound-rtp');
  return sent.reduce((sum, entry) => sum + numberOf(entry, 'bytesSent'), 0);
}
