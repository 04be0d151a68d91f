import type { EdgeHint } from '@plenary/cluster/protocol';

/** Lists edges before a join and measures their distance. Tests replace it with a script. */
export interface ProbePort {
  /** Returns the edges that this edge knows. @throws when the edge does not answer, or answers with something else */
  knownEdges(edgeUrl: string, signal: AbortSignal): Promise<readonly EdgeHint[]>;
  /** Returns the round trip to an edge over an open connection, in milliseconds. @throws when the edge does not answer */
  ping(edgeUrl: string, signal: AbortSignal): Promise<number>;
}
