import { guardCallback } from '../process/guarded-callbacks.ts';

/**
 * Counts the bytes that wait for the other end of a Socket.IO connection on Node's own server, which would queue any
 * amount. It keeps only two numbers.
 */
export class SendGuard {
  readonly #maxBytes: number;
  /** Bytes that Socket.IO has and the connection does not have yet. */
  #waiting = 0;
  /** Bytes that the connection has and the kernel does not have yet. */
  #underWay = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns whether the other end is still within bounds */
  onPacket(bytes: number): boolean {
    this.#waiting += bytes;
    return this.#waiting + this.#underWay <= this.#maxBytes;
  }

  /** All waiting bytes go to the connection; this happens only if nothing is under way. */
  onFlush(): void {
    this.#underWay = this.#waiting;
    this.#waiting = 0;
  }

  /** The kernel took what was under way. */
  onDrain(): void {
    this.#underWay = 0;
  }
}

/** The parts of an Engine.IO connection that the guard uses. */
export interface SendingConnection {
  on(event: 'packetCreate', listener: (packet: { readonly data?: string | Buffer }) => void): unknown;
  on(event: 'flush', listener: () => void): unknown;
  readonly transport: { on(event: 'drain', listener: () => void): unknown };
  readonly request: { readonly socket: { destroy(): unknown } };
}

/** Closes a connection whose other end does not read. @param onSlow - called before that */
export function boundSends(connection: SendingConnection, maxBytes: number, onSlow: () => void): void {
  const guard = new SendGuard(maxBytes);
  let isCutOff = false;
  connection.on(
    'packetCreate',
    guardCallback('socket', ({ data = '' }: { readonly data?: string | Buffer }) => {
      if (guard.onPacket(Buffer.byteLength(data)) || isCutOff) return;
      isCutOff = true;
      onSlow();
      // Destroyed at once: an orderly close would wait for bytes that the other end does not read.
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
