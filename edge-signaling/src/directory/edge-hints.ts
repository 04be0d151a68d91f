import type { EdgeHint } from '@plenary/cluster/protocol';
import type { Directory } from './directory.ts';

/** Edges named to a client, at most. */
const MAX_EDGE_HINTS = 64;

/** The edges that a client may connect to: those that take clients. */
export function edgeHints(directory: Directory, which?: 'proven' | 'announced'): EdgeHint[] {
  return directory
    .servingEdges(MAX_EDGE_HINTS, which)
    .map(({ edgeId, datacenter, publicUrl }) => ({ edgeId, datacenter, url: publicUrl }));
}
