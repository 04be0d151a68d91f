import type { EdgeRecord, Logger, MediaNodeRecord } from '@plenary/cluster';

/** So many of one kind are said; strangers choose some of the texts, and a log is not theirs to fill. */
const SAID_OF_A_KIND = 10;
/** A peer that sends a header which is ignored so often is a proxy, and no stranger's experiment. */
const IGNORED_BEFORE_SAID = 20;
const COUNTED_ADDRESSES = 1_000;
/** What is odd for so many readings in a row, a second apart, is no process that has just started. */
const ODD_READINGS = 10;
const SHOWN_LENGTH = 200;

/**
 * What works, and most likely not as it was meant: said once each, at `warn`, with what to do (SPEC AD4). Nobody is refused for
 * it here.
 */
export class Oddities {
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #said = new Map<string, Set<string>>();
  readonly #ignored = new Map<string, number>();
  readonly #readings = new Map<string, number>();

  constructor(logger: Pick<Logger, 'warn'>) {
    this.#logger = logger;
  }

  originRefused(origin: string): void {
    const shown = origin.slice(0, SHOWN_LENGTH);
    this.#sayOnce('origin', shown, () => {
      this.#logger.warn(
        { origin: shown },
        'a page of this origin was refused a connection; if it is yours, add it to PLENARY_ALLOWED_ORIGINS',
      );
    });
  }

  /** @param address - of a peer that is no trusted proxy and says for whom it forwards */
  forwardingIgnored(address: string): void {
    const times = (this.#ignored.get(address) ?? 0) + 1;
    if (times === 1 && this.#ignored.size >= COUNTED_ADDRESSES) this.#ignored.clear();
    this.#ignored.set(address, times);
    if (times < IGNORED_BEFORE_SAID) return;
    this.#sayOnce('forwarding', address, () => {
      this.#logger.warn(
        { address },
        'X-Forwarded-For of this address is ignored, so all who come through it count as one; if it is your proxy, add it to PLENARY_TRUSTED_PROXIES',
      );
    });
  }

  /** @param held - sockets at that moment */
  socketsFull(held: number): void {
    this.#sayOnce('full', '', () => {
      this.#logger.warn(
        { sockets: held },
        'new sockets are refused: this edge holds as many as PLENARY_MAX_SOCKETS or its file limit allow (ulimit -n, LimitNOFILE=, --ulimit nofile=)',
      );
    });
  }

  /** After each reading of the registry. */
  clusterRead(edges: readonly EdgeRecord[], nodes: readonly MediaNodeRecord[]): void {
    const odd = [
      ...oddPublicUrls(edges).map(({ edgeId, publicUrl }) => ({
        key: `url ${edgeId} ${publicUrl}`,
        say: () => {
          this.#logger.warn(
            { oddEdgeId: edgeId, publicUrl },
            'this edge has another scheme or host in PLENARY_PUBLIC_URL than the others; clients are sent there',
          );
        },
      })),
      ...loneDatacenters(edges, nodes).map(({ id, datacenter }) => ({
        key: `datacenter ${id} ${datacenter}`,
        say: () => {
          this.#logger.warn(
            { processId: id, datacenter },
            'no other process has the datacenter of this one: is PLENARY_DATACENTER misspelt?',
          );
        },
      })),
    ];
    const current = new Set(odd.map(({ key }) => key));
    for (const key of this.#readings.keys()) if (!current.has(key)) this.#readings.delete(key);
    for (const { key, say } of odd) {
      const readings = (this.#readings.get(key) ?? 0) + 1;
      this.#readings.set(key, readings);
      if (readings >= ODD_READINGS) this.#sayOnce('cluster', key, say);
    }
  }

  #sayOnce(kind: string, key: string, say: () => void): void {
    const said = this.#said.get(kind) ?? new Set();
    if (said.has(key) || said.size >= SAID_OF_A_KIND) return;
    this.#said.set(kind, said.add(key));
    say();
  }
}

/**
 * Edges whose public URL has another scheme or host than all the others, which agree. Where each edge has a host of its own
 * none is odd; of two with different schemes both are.
 */
export function oddPublicUrls(edges: readonly EdgeRecord[]): readonly EdgeRecord[] {
  const schemes = groups(edges, ({ publicUrl }) => new URL(publicUrl).protocol);
  if (edges.length === 2 && schemes.length === 2) return edges;
  const sites = groups(edges, ({ publicUrl }) => {
    const { protocol, hostname } = new URL(publicUrl);
    return `${protocol}//${hostname}`;
  });
  for (const parts of [sites, schemes]) {
    const [large, small] = [parts.find(({ length }) => length > 1), parts.find(({ length }) => length === 1)];
    if (parts.length === 2 && large !== undefined && small !== undefined) return small;
  }
  return [];
}

/** Processes that are alone in their datacenter, while those of another one are several. */
export function loneDatacenters(
  edges: readonly EdgeRecord[],
  nodes: readonly MediaNodeRecord[],
): readonly { readonly id: string; readonly datacenter: string }[] {
  const processes = [
    ...edges.map(({ edgeId, datacenter }) => ({ id: edgeId, datacenter })),
    ...nodes.map(({ mediaNodeId, datacenter }) => ({ id: mediaNodeId, datacenter })),
  ];
  const parts = groups(processes, ({ datacenter }) => datacenter);
  if (!parts.some(({ length }) => length > 1)) return [];
  return parts.filter(({ length }) => length === 1).flat();
}

function groups<Item>(items: readonly Item[], by: (item: Item) => string): readonly (readonly Item[])[] {
  const found = new Map<string, Item[]>();
  for (const item of items) {
    const group = found.get(by(item));
    if (group === undefined) found.set(by(item), [item]);
    else group.push(item);
  }
  return [...found.values()];
}
