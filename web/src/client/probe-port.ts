import type { EdgeHint } from '@plenary/cluster/protocol';

/** How the client learns which edges there are before it joins, and how far they are. Tests script it. */
export interface ProbePort {
  /** The edges that an edge knows of. @throws when it does not answer, or not with a list of edges */
  knownEdges(edgeUrl: string, signal: AbortSignal): Promise<readonly EdgeHint[]>;
  /** The round trip to an edge, in milliseconds, over a connection that is open. @throws when it does not answer */
  ping(edgeUrl: string, signal: AbortSignal): Promise<number>;
}
