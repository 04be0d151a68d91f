import type { EdgeRecord, Logger, MediaNodeRecord } from '@plenary/cluster';

import { isLoopback } from './http/origins.ts';

/** Limit of lines of one kind: strangers choose some of the texts, and must not fill the log. */
const SAID_OF_A_KIND = 10;
/** An address whose forwarding header was ignored this often is a proxy, and not a stranger's experiment. */
const IGNORED_BEFORE_SAID = 20;
/** Fewer ignored headers suffice where they name several people. */
const IGNORED_OF_SEVERAL = 5;
const SEVERAL = 3;
const COUNTED_ADDRESSES = 1_000;
/** Number of successive readings, a second apart, after which an oddity is not just a process that starts. */
const ODD_READINGS = 10;
/** Limit of remembered datacenters, far above the number in any cluster. */
const MAX_SHARED = 256;
const SHOWN_LENGTH = 200;

/**
 * Logs settings that work, but most likely not as intended, once each at `warn`, with the remedy (SPEC AD4, AD17, AD18, AD19, AD20).
 * It refuses nobody.
 */
export class Oddities {
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #said = new Map<string, Set<string>>();
  readonly #ignored = new Map<string, { times: number; readonly claims: Set<string> }>();
  /** Datacenters that had several processes at some time. */
  readonly #shared = new Set<string>();
  readonly #readings = new Map<string, number>();

  constructor(logger: Pick<Logger, 'warn'>) {
    this.#logger = logger;
  }

  originRefused(origin: string): void {
    const shown = origin.slice(0, SHOWN_LENGTH);
    this.#sayOnce('origin', shown, () => {
      this.#logger.warn(
        { origin: shown },
        'page of a foreign origin refused a connection; if it is yours, add it to PLENARY_ALLOWED_ORIGINS',
      );
    });
  }

  /**
   * @param address - of a peer that is no trusted proxy and sends a forwarding header
   * @param claim - the header
   */
  forwardingIgnored(address: string, claim: string): void {
    const known = this.#ignored.get(address);
    if (known === undefined && this.#ignored.size >= COUNTED_ADDRESSES) this.#ignored.clear();
    const { times, claims } = known ?? { times: 0, claims: new Set<string>() };
    if (claims.size < SEVERAL) claims.add(claim.slice(0, SHOWN_LENGTH));
    this.#ignored.set(address, { times: times + 1, claims });
    const isOfSeveral = claims.size >= SEVERAL && times + 1 >= IGNORED_OF_SEVERAL;
    if (times + 1 < IGNORED_BEFORE_SAID && !isOfSeveral) return;
    this.#sayOnce('forwarding', address, () => {
      this.#logger.warn(
        { address },
        'X-Forwarded-For of this address is ignored, so all who come through it count as one; if it is your proxy, add it to PLENARY_TRUSTED_PROXIES',
      );
    });
  }

  /** @param publicUrl - as clients reach this edge */
  ownPublicUrl(publicUrl: string): void {
    if (!publicUrl.startsWith('http:') || isLoopback(publicUrl)) return;
    this.#sayOnce('own url', publicUrl, () => {
      this.#logger.warn(
        { publicUrl },
        'PLENARY_PUBLIC_URL is no https URL: browsers give its pages neither microphone nor camera, and tokens are read on the way; put a proxy that speaks TLS in front, and name its https URL',
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

  /** Called after each reading of the registry. @param unproven - edges without a valid proof of their URL */
  clusterRead(
    edges: readonly EdgeRecord[],
    nodes: readonly MediaNodeRecord[],
    unproven: readonly EdgeRecord[] = [],
  ): void {
    this.#noteShared([...edges, ...nodes]);
    const odd = [
      ...unproven.map(({ edgeId, publicUrl }) => ({
        key: `proof ${edgeId} ${publicUrl}`,
        say: () => {
          this.#logger.warn(
            { oddEdgeId: edgeId, publicUrl },
            'another edge does not prove in the registry that it is of this cluster; no client is sent there: it has another PLENARY_CLUSTER_SECRET, is of another release, or somebody else wrote it',
          );
        },
      })),
      ...oddPublicUrls(edges).map(({ edgeId, publicUrl }) => ({
        key: `url ${edgeId} ${publicUrl}`,
        say: () => {
          this.#logger.warn(
            { oddEdgeId: edgeId, publicUrl },
            'another edge differs in scheme, host or port of PLENARY_PUBLIC_URL from the others; clients are sent there',
          );
        },
      })),
      ...this.#neverShared(loneDatacenters(edges, nodes)).map(({ id, datacenter }) => ({
        key: `datacenter ${id} ${datacenter}`,
        say: () => {
          this.#logger.warn(
            { processId: id, loneDatacenter: datacenter },
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

  #noteShared(processes: readonly { readonly datacenter: string }[]): void {
    for (const [first, second] of groups(processes, ({ datacenter }) => datacenter))
      if (first !== undefined && second !== undefined && this.#shared.size < MAX_SHARED)
        this.#shared.add(first.datacenter);
  }

  /** Excludes a process whose neighbours died: its datacenter is spelt correctly. */
  #neverShared<Lone extends { readonly datacenter: string }>(lone: readonly Lone[]): readonly Lone[] {
    return lone.filter(({ datacenter }) => !this.#shared.has(datacenter));
  }

  #sayOnce(kind: string, key: string, say: () => void): void {
    const said = this.#said.get(kind) ?? new Set();
    if (said.has(key) || said.size >= SAID_OF_A_KIND) return;
    this.#said.set(kind, said.add(key));
    say();
  }
}

/**
 * Edges whose public URL most likely is a mistake. With several schemes, edges with the rarer one are odd. With one scheme, either all
 * edges share one origin, or each edge or each datacenter has its own origin, and the host names differ in their first part only.
 * Otherwise the edges outside the largest group are odd, or all if no group is the largest.
 */
export function oddPublicUrls(edges: readonly EdgeRecord[]): readonly EdgeRecord[] {
  const url = ({ publicUrl }: EdgeRecord): URL => new URL(publicUrl);
  const schemes = groups(edges, (edge) => url(edge).protocol);
  if (schemes.length > 1) return outsideLargest(schemes);
  const origins = groups(edges, (edge) => url(edge).origin);
  if (origins.length === 1) return [];
  const isEachItsOwn = origins.length === edges.length;
  return isEachItsOwn || isByDatacenter(edges, origins)
    ? outsideLargest(groups(edges, (edge) => siteOf(url(edge).hostname)))
    : outsideLargest(origins);
}

function isByDatacenter(edges: readonly EdgeRecord[], origins: readonly (readonly EdgeRecord[])[]): boolean {
  const datacenters = groups(edges, ({ datacenter }) => datacenter);
  return (
    datacenters.length === origins.length &&
    origins.every((origin) => groups(origin, ({ datacenter }) => datacenter).length === 1)
  );
}

/** The common part of the host names of one installation: the name without its first part; all addresses are alike. */
function siteOf(hostname: string): string {
  if (/^[\d.]+$|^\[/.test(hostname)) return 'address';
  const [, ...rest] = hostname.split('.');
  return rest.length === 0 ? hostname : rest.join('.');
}

function outsideLargest<Item>(parts: readonly (readonly Item[])[]): readonly Item[] {
  if (parts.length < 2) return [];
  const largest = Math.max(...parts.map(({ length }) => length));
  const isUnique = parts.filter(({ length }) => length === largest).length === 1;
  return parts.filter(({ length }) => !isUnique || length < largest).flat();
}

/** Processes that are alone in their datacenter, where there are several datacenters. */
export function loneDatacenters(
  edges: readonly EdgeRecord[],
  nodes: readonly MediaNodeRecord[],
): readonly { readonly id: string; readonly datacenter: string }[] {
  const processes = [
    ...edges.map(({ edgeId, datacenter }) => ({ id: edgeId, datacenter })),
    ...nodes.map(({ mediaNodeId, datacenter }) => ({ id: mediaNodeId, datacenter })),
  ];
  const parts = groups(processes, ({ datacenter }) => datacenter);
  return parts.length < 2 ? [] : parts.filter(({ length }) => length === 1).flat();
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
