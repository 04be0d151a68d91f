import { toPlenaryError } from '@plenary/cluster/errors';
import type { ClientReply, Epoch } from '@plenary/cluster/protocol';
import type { ClientLog } from './counters.ts';
import type { MediaCounts } from './path-evidence.ts';
import { iceAnswers, sentBytes } from './stats-entries.ts';
import type { HasStats } from './stats-entries.ts';

export interface MediaCheckEnvironment {
  /** Sends `media.check` to the current edge. */
  readonly askEdge: (epoch: Epoch | undefined) => Promise<ClientReply<'media.check'>>;
  /** Whether an edge is connected. Without one, no check is sent: the edge connection handles the loss. */
  readonly isConnected: () => boolean;
  readonly media: () =>
    { readonly epoch: Epoch; readonly receive: HasStats; readonly send: HasStats | undefined } | undefined;
  /** Called when the media node no longer has this client's media session. */
  readonly lostAt: (epoch: Epoch) => void;
  readonly log: ClientLog;
}

/** Finds the cause of silent tracks: asks the browser and the edge. */
export class MediaCheck {
  readonly #environment: MediaCheckEnvironment;

  constructor(environment: MediaCheckEnvironment) {
    this.#environment = environment;
  }

  /** Counts the ICE answers so far; `undefined` when the browser does not report them. */
  iceAnswers(): Promise<number | undefined> {
    return this.#count(this.#environment.media()?.receive, iceAnswers);
  }

  /**
   * Sends `media.check`. Handles its own errors: an edge that answers with an error is alive, and will report a lost media session itself.
   * @returns the counts of both ends, when the media node has the media session
   */
  async askEdge(): Promise<MediaCounts | undefined> {
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
