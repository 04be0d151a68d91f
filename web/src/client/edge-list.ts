/**
 * The edges that the client may use, in the order in which it tries them. Immutable: each change returns a new list.
 */
export type EdgeList = readonly string[];

/** The origin of an edge's URL. A path would name a Socket.IO namespace, which no edge has. */
export function normaliseEdgeUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.protocol === 'ws:') parsed.protocol = 'http:';
  if (parsed.protocol === 'wss:') parsed.protocol = 'https:';
  return parsed.origin;
}

/** Adds edges at the end of the list. A known edge keeps its place. */
export function withEdges(edges: EdgeList, urls: readonly string[]): EdgeList {
  const merged = new Set(edges);
  for (const url of urls) merged.add(normaliseEdgeUrl(url));
  return [...merged];
}

/**
 * Updates the list to the edges that the cluster announces now. New edges go to the end. Edges that are no longer announced are removed,
 * except the ones in `keep`, which may be up again without an announcement.
 */
export function withCurrentEdges(edges: EdgeList, current: readonly string[], keep: EdgeList): EdgeList {
  const live = new Set([...current.map(normaliseEdgeUrl), ...keep]);
  return withEdges(
    edges.filter((edge) => live.has(edge)),
    current,
  );
}

/**
 * Moves a failed edge behind the others, so that the next attempt uses another edge if there is one. An edge that answered stays before
 * those that recently did not: detecting again that they are down takes seconds.
 *
 * @param isUnreachable - whether an edge recently did not answer
 */
export function withFailedEdge(
  edges: EdgeList,
  failed: string,
  isUnreachable: (edge: string) => boolean,
): EdgeList {
  if (!edges.includes(failed)) return edges;
  const others = edges.filter((edge) => edge !== failed);
  if (isUnreachable(failed)) return [...others, failed];
  return [
    ...others.filter((edge) => !isUnreachable(edge)),
    failed,
    ...others.filter((edge) => isUnreachable(edge)),
  ];
}

/**
 * Orders the edges after one was lost: first the other edges of its datacenter, then other datacenters, then edges that the cluster does
 * not announce, and the lost edge last. If the whole datacenter may be lost, other datacenters come first. The order within a group is
 * random, so that thousands of clients of a lost edge spread over the others.
 *
 * @param datacenters - the datacenter of each announced edge
 * @param random - gives numbers in [0, 1)
 */
export function withLostEdge(
  edges: EdgeList,
  lost: string,
  datacenters: ReadonlyMap<string, string>,
  random: () => number,
  mayBeWholeDatacenter = false,
): EdgeList {
  const home = datacenters.get(lost);
  const rankOf = (edge: string): number => {
    if (edge === lost) return 3;
    const datacenter = datacenters.get(edge);
    if (datacenter === undefined) return 2;
    return (datacenter === home) === mayBeWholeDatacenter ? 1 : 0;
  };
  return edges
    .map((edge) => ({ edge, rank: rankOf(edge), draw: random() }))
    .sort((left, right) => left.rank - right.rank || left.draw - right.draw)
    .map(({ edge }) => edge);
}

/** Moves a working edge to the front. */
export function withWorkingEdge(edges: EdgeList, working: string): EdgeList {
  return [working, ...edges.filter((edge) => edge !== working)];
}
