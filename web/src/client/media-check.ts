import { toPlenaryError } from '@plenary/cluster/errors';
import type { ClientReply, Epoch } from '@plenary/cluster/protocol';
import type { ClientLog } from './counters.ts';
import type { MediaCounts } from './path-evidence.ts';
import { iceAnswers, sentBytes } from './stats-entries.ts';
import type { HasStats } from './stats-entries.ts';

export interface MediaCheckEnvironment {
  /** `media.check` to the edge in use. */
  readonly askEdge: (epoch: Epoch | undefined) => Promise<ClientReply<'media.check'>>;
  /** Whether an edge listens; without one, its silence is noticed elsewhere. */
  readonly isConnected: () => boolean;
  readonly media: () =>
    { readonly epoch: Epoch; readonly receive: HasStats; readonly send: HasStats | undefined } | undefined;
  /** The media node does not host this client any more. */
  readonly lostAt: (epoch: Epoch) => void;
  readonly log: ClientLog;
}

/** Asks what became of media that has stopped to come: the browser, and the edge. */
export class MediaCheck {
  readonly #environment: MediaCheckEnvironment;

  constructor(environment: MediaCheckEnvironment) {
    this.#environment = environment;
  }

  /** How often ICE was answered so far; `undefined` where the browser does not say. */
  iceAnswers(): Promise<number | undefined> {
    return this.#count(this.#environment.media()?.receive, iceAnswers);
  }

  /**
   * Asks the edge. Handles its own errors: an edge that answers with one is there, and tells by itself what becomes of media.
   * @returns what both ends count, where the media node is there
   */
  async ask(): Promise<MediaCounts | undefined> {
    const { askEdge, isConnected, lostAt, log } = this.#environment;
    if (!isConnected()) return undefined;
    const media = this.#environment.media();
    const sentByClient = await this.#count(media?.send, sentBytes);
    try {
      const reply = await askEdge(media?.epoch);
      if (reply.alive)
        return { sentByNode: reply.sentBytes, receivedByNode: reply.receivedBytes, sentByClient };
      if (media !== undefined) lostAt(media.epoch);
    } catch (thrown) {
      log.warn('media is silent', toPlenaryError(thrown).message);
    }
    return undefined;
  }

  async #count(
    transport: HasStats | undefined,
    count: (transport: HasStats) => Promise<number | undefined>,
  ): Promise<number | undefined> {
    if (transport === undefined) return undefined;
    try {
      return await count(transport);
    } catch (thrown) {
      this.#environment.log.warn('the browser gives no statistics', thrown);
      return undefined;
    }
  }
}
