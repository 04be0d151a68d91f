/**
 * The edges that the client may use, in the order in which it will try them. Immutable: each change gives a new list.
 */
export type EdgeList = readonly string[];

/** The origin of an edge's URL. A path would name a Socket.IO namespace, which no edge has. */
export function normaliseEdgeUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.protocol === 'ws:') parsed.protocol = 'http:';
  if (parsed.protocol === 'wss:') parsed.protocol = 'https:';
  return parsed.origin;
}

/** Adds edges behind the known ones; an edge that is there already keeps its place. */
export function withEdges(edges: EdgeList, urls: readonly string[]): EdgeList {
  const merged = new Set(edges);
  for (const url of urls) merged.add(normaliseEdgeUrl(url));
  return [...merged];
}

/**
 * Takes the edges as the cluster now tells them: new ones behind the known ones, while those that are gone are forgotten,
 * except the ones to keep, which may be back although nobody told of it.
 */
export function withCurrentEdges(edges: EdgeList, current: readonly string[], keep: EdgeList): EdgeList {
  const live = new Set([...current.map(normaliseEdgeUrl), ...keep]);
  return withEdges(
    edges.filter((edge) => live.has(edge)),
    current,
  );
}

/**
 * Puts an edge that failed behind the others, so that the next attempt goes elsewhere where there is an elsewhere. One that at
 * least answered comes before those that lately did not: to find out anew that they are gone takes seconds.
 *
 * @param isUnreachable - whether nobody answered at an edge lately
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
 * Where to go from an edge that was lost: to another one of its datacenter, else elsewhere, else to one that the cluster
 * does not tell of, and to the lost one last. Where the whole datacenter may be lost, elsewhere first. Within each group in an
 * order of this client's own, so that the thousands that lost one edge share the others between them.
 *
 * @param datacenters - of the edges that the cluster tells of
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

/** Puts an edge that works in front. */
export function withWorkingEdge(edges: EdgeList, working: string): EdgeList {
  return [working, ...edges.filter((edge) => edge !== working)];
}
