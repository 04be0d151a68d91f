/** What may wait for a slow client, in bytes; a join's answer in a large room is some hundred kilobytes. */
export const MAX_SEND_BUFFER_BYTES = 4_194_304;

/**
 * Counts what waits for one client on Node's own server, where Socket.IO would keep any amount; uWebSockets.js counts by
 * itself. Holds two numbers, whatever is sent.
 */
export class SendGuard {
  /** Handed to Socket.IO, not yet to the connection. */
  #waiting = 0;
  /** Handed to the connection, not yet to the kernel. */
  #underWay = 0;

  /** @returns whether the client is still within bounds */
  onPacket(bytes: number): boolean {
    this.#waiting += bytes;
    return this.#waiting + this.#underWay <= MAX_SEND_BUFFER_BYTES;
  }

  /** All that waits goes to the connection; this happens only when nothing is under way. */
  onFlush(): void {
    this.#underWay = this.#waiting;
    this.#waiting = 0;
  }

  /** The kernel took what was under way. */
  onDrain(): void {
    this.#underWay = 0;
  }
}
