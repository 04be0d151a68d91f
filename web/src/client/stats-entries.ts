/** One entry of a browser's statistics (W3C webrtc-stats). */
export type StatsEntry = Readonly<Record<string, unknown>>;

/** A transport, a producer or a consumer. */
export interface HasStats {
  readonly closed: boolean;
  getStats(): Promise<RTCStatsReport>;
}

/** What the browser says of something now; nothing when it closes meanwhile. */
export async function entriesOf(source: HasStats): Promise<StatsEntry[]> {
  if (source.closed) return [];
  try {
    const entries: StatsEntry[] = [];
    (await source.getStats()).forEach((entry: StatsEntry) => entries.push(entry));
    return entries;
  } catch (thrown) {
    // Closed while the browser collected; anything else is a fault that must be seen.
    if (source.closed) return [];
    throw thrown;
  }
}

/** A field that is a number; 0 where the browser does not give it. */
export function numberOf(entry: StatsEntry | undefined, field: string): number {
  const value = entry?.[field];
  return typeof value === 'number' ? value : 0;
}

/**
 * How often the other end has answered connectivity checks of a transport so far: while that grows, the path stands.
 * `undefined` where the browser does not say.
 */
export async function iceAnswers(transport: HasStats): Promise<number | undefined> {
  const pairs = (await entriesOf(transport)).filter(
    (entry) => entry['type'] === 'candidate-pair' && typeof entry['responsesReceived'] === 'number',
  );
  if (pairs.length === 0) return undefined;
  return pairs.reduce((sum, pair) => sum + numberOf(pair, 'responsesReceived'), 0);
}

/** Bytes of media that a transport has sent so far, as far as the browser says. */
export async function sentBytes(transport: HasStats): Promise<number> {
  const sent = (await entriesOf(transport)).filter(({ type }) => type === 'outbound-rtp');
  return sent.reduce((sum, entry) => sum + numberOf(entry, 'bytesSent'), 0);
}
