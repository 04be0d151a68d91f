import { z } from 'zod';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import type { EdgeId, Incarnation, MediaNodeId } from '../protocol/ids.ts';
import { EDGE_RECORD, MEDIA_NODE_RECORD } from '../registry/registry.ts';
import type {
  AnnounceResult,
  EdgeRecord,
  MediaNodeRecord,
  PortSliceClaim,
  PortSliceResult,
  Registry,
} from '../registry/registry.ts';
import type { StoreKeys } from './keys.ts';
import { RecordReader } from './record-reader.ts';
import {
  announce,
  announceMediaNode,
  claimPortSlice,
  listLive,
  withdraw,
  withdrawMediaNode,
} from './scripts.generated.ts';
import type { RunScript } from './scripts.generated.ts';

const OVERLAP_REPLY = z.tuple([
  z.literal('port_slice_overlap'),
  MEDIA_NODE_ID,
  z.coerce.number(),
  z.coerce.number(),
]);
const ANNOUNCE_REPLY = z.union([z.tuple([z.enum(['announced', 'id_taken'])]), OVERLAP_REPLY]);
const CLAIM_REPLY = z.union([
  z.tuple([z.literal('claimed'), z.coerce.number(), z.coerce.number()]),
  OVERLAP_REPLY,
  z.tuple([
    z.literal('no_free_slice'),
    z.array(z.tuple([MEDIA_NODE_ID, z.coerce.number(), z.coerce.number(), z.coerce.number()])),
  ]),
]);

/** The registry in Redis: a hash of leased records, changed by scripts that use Redis TIME. */
export class RedisRegistry implements Registry {
  readonly #run: RunScript;
  readonly #keys: StoreKeys;
  readonly #mediaNodes: RecordReader<typeof MEDIA_NODE_RECORD>;
  readonly #edges: RecordReader<typeof EDGE_RECORD>;

  /** @param onMalformed - called for a record that is skipped because it does not parse */
  constructor(run: RunScript, keys: StoreKeys, onMalformed: (detail: () => string) => void) {
    this.#run = run;
    this.#keys = keys;
    this.#mediaNodes = new RecordReader(MEDIA_NODE_RECORD, ({ mediaNodeId }) => mediaNodeId, onMalformed);
    this.#edges = new RecordReader(EDGE_RECORD, ({ edgeId }) => edgeId, onMalformed);
  }

  async claimPortSlice(claim: PortSliceClaim, leaseMs: number): Promise<PortSliceResult> {
    const { mediaNodeId, incarnation, announcedAddress, announcedIpv6 = '', wanted } = claim;
    const [ports, size, except] =
      'firstPort' in wanted ? [wanted, 0, []] : [wanted.range, wanted.size, wanted.except];
    const reply = await claimPortSlice(
      this.#run,
      { portSlices: this.#keys.portSlices },
      {
        id: mediaNodeId,
        incarnation,
        leaseMs: String(leaseMs),
        announcedAddress,
        alsoAnnounced: announcedIpv6,
        firstPort: String(ports.firstPort),
        lastPort: String(ports.lastPort),
        size: String(size),
        except: `,${except.join(',')},`,
      },
    );
    return toSlice(reply);
  }

  async announceMediaNode(record: MediaNodeRecord, leaseMs: number): Promise<AnnounceResult> {
    const { firstPort, lastPort } = record.portSlice;
    const reply = await announceMediaNode(
      this.#run,
      { registry: this.#keys.mediaNodes, portSlices: this.#keys.portSlices },
      {
        id: record.mediaNodeId,
        incarnation: record.incarnation,
        leaseMs: String(leaseMs),
        record: JSON.stringify(record),
        announcedAddress: record.announcedAddress,
        alsoAnnounced: record.announcedIpv6 ?? '',
        firstPort: String(firstPort),
        lastPort: String(lastPort),
      },
    );
    return toResult(reply);
  }

  async announceEdge(record: EdgeRecord, leaseMs: number): Promise<AnnounceResult> {
    const reply = await announce(
      this.#run,
      { registry: this.#keys.edges },
      {
        id: record.edgeId,
        incarnation: record.incarnation,
        leaseMs: String(leaseMs),
        record: JSON.stringify(record),
      },
    );
    return toResult(reply);
  }

  async withdrawMediaNode(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void> {
    await withdrawMediaNode(
      this.#run,
      { registry: this.#keys.mediaNodes, portSlices: this.#keys.portSlices },
      { id: mediaNodeId, incarnation },
    );
  }

  async withdrawEdge(edgeId: EdgeId, incarnation: Incarnation): Promise<void> {
    await withdraw(this.#run, { registry: this.#keys.edges }, { id: edgeId, incarnation });
  }

  liveMediaNodes(): Promise<readonly MediaNodeRecord[]> {
    return this.#mediaNodes.read((asked) => listLive(this.#run, { registry: this.#keys.mediaNodes }, asked));
  }

  liveEdges(): Promise<readonly EdgeRecord[]> {
    return this.#edges.read((asked) => listLive(this.#run, { registry: this.#keys.edges }, asked));
  }
}

function toResult(reply: unknown): AnnounceResult {
  const parsed = ANNOUNCE_REPLY.parse(reply);
  if (parsed[0] === 'port_slice_overlap') {
    const [refused, by, firstPort, lastPort] = parsed;
    return { refused, by, portSlice: { firstPort, lastPort } };
  }
  return { refused: parsed[0] === 'announced' ? null : parsed[0] };
}

function toSlice(reply: unknown): PortSliceResult {
  const parsed = CLAIM_REPLY.parse(reply);
  switch (parsed[0]) {
    case 'claimed':
      return { refused: null, portSlice: { firstPort: parsed[1], lastPort: parsed[2] } };
    case 'port_slice_overlap': {
      const [refused, by, firstPort, lastPort] = parsed;
      return { refused, by, portSlice: { firstPort, lastPort } };
    }
    case 'no_free_slice': {
      const holders = parsed[1]
        .map(([mediaNodeId, firstPort, lastPort, restsForMs]) => ({
          mediaNodeId,
          portSlice: { firstPort, lastPort },
          restsForMs: restsForMs < 0 ? null : restsForMs,
        }))
        .sort((left, right) => left.portSlice.firstPort - right.portSlice.firstPort);
      return { refused: 'no_free_slice', holders };
    }
  }
}
