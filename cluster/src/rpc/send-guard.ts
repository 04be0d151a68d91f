import { guardCallback } from '../process/guarded-callbacks.ts';

/**
 * Counts what waits for the other end of one connection of Socket.IO on Node's own server, which keeps any amount. Holds two numbers,
 * whatever is sent.
 */
export class SendGuard {
  readonly #maxBytes: number;
  /** Handed to Socket.IO, not yet to the connection. */
  #waiting = 0;
  /** Handed to the connection, not yet to the kernel. */
  #underWay = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns whether the other end is still within bounds */
  onPacket(bytes: number): boolean {
    this.#waiting += bytes;
    return this.#waiting + this.#underWay <= this.#maxBytes;
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

/** What is used of a connection that Engine.IO serves. */
export interface SendingConnection {
  on(event: 'packetCreate', listener: (packet: { readonly data?: string | Buffer }) => void): unknown;
  on(event: 'flush', listener: () => void): unknown;
  readonly transport: { on(event: 'drain', listener: () => void): unknown };
  readonly request: { readonly socket: { destroy(): unknown } };
}

/** Ends a connection whose other end does not take what it is sent. @param onSlow - called before that */
export function boundSends(connection: SendingConnection, maxBytes: number, onSlow: () => void): void {
  const guard = new SendGuard(maxBytes);
  let isCutOff = false;
  connection.on(
    'packetCreate',
    guardCallback('socket', ({ data = '' }: { readonly data?: string | Buffer }) => {
      if (guard.onPacket(Buffer.byteLength(data)) || isCutOff) return;
      isCutOff = true;
      onSlow();
      // At once: to close it in order would wait for what the other end does not read.
      connection.request.socket.destroy();
    }),
  );
  connection.on(
    'flush',
    guardCallback('socket', () => guard.onFlush()),
  );
  connection.transport.on(
    'drain',
    guardCallback('socket', () => guard.onDrain()),
  );
}
