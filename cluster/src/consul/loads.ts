import { toPlenaryError } from '../errors.ts';
import type { Logger } from '../process/logging.ts';
import type { Incarnation, MediaNodeId } from '../protocol/ids.ts';
import type { MediaNodeRecord, Registry } from '../registry/registry.ts';

/** The channel for load and numbers of peers: they change too often for Consul. */
export type LoadChannel = Pick<Registry, 'announceMediaNode' | 'withdrawMediaNode' | 'liveMediaNodes'>;

/** The load of media nodes, exchanged through a channel beside Consul; while it is unreachable, the last known loads count. */
export class Loads {
  readonly #channel: LoadChannel;
  readonly #logger: Logger;
  readonly #last = new Map<MediaNodeId, MediaNodeRecord>();

  constructor(channel: LoadChannel, logger: Logger) {
    this.#channel = channel;
    this.#logger = logger;
  }

  /** Consul has decided already; a refusal of the channel, for example for a previous run of this node, does not matter. */
  async tell(record: MediaNodeRecord, leaseMs: number): Promise<void> {
    await this.#use('told', async () => this.#channel.announceMediaNode(record, leaseMs));
  }

  async withdraw(mediaNodeId: MediaNodeId, incarnation: Incarnation): Promise<void> {
    await this.#use('withdrawn', async () => this.#channel.withdrawMediaNode(mediaNodeId, incarnation));
  }

  async read(): Promise<void> {
    await this.#use('read', async () => {
      for (const record of await this.#channel.liveMediaNodes()) this.#last.set(record.mediaNodeId, record);
    });
  }

  /** Adds the last known load to the records of living nodes, and forgets the loads of others. */
  enterInto(nodes: readonly MediaNodeRecord[]): readonly MediaNodeRecord[] {
    const live = new Set(nodes.map((node) => node.mediaNodeId));
    for (const id of this.#last.keys()) if (!live.has(id)) this.#last.delete(id);
    return nodes.map((node) => {
      const told = this.#last.get(node.mediaNodeId);
      if (told?.incarnation !== node.incarnation) return node;
      const { load, peerCount, recentJoins, isUnreached, isSurelyUnreached, reportedAtMs } = told;
      return { ...node, load, peerCount, recentJoins, isUnreached, isSurelyUnreached, reportedAtMs };
    });
  }

  /** The connection itself reports that the channel is unreachable. */
  async #use(doing: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      if (toPlenaryError(fault).code !== 'store_unavailable') throw fault;
      this.#logger.debug({ err: fault, doing }, 'the loads could not be exchanged; the last ones count');
    }
  }
}
