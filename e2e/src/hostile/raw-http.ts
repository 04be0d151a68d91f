import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { until } from '../harness/until.ts';

/** Far beyond what a loaded machine needs, in milliseconds. */
const ANSWER_WITHIN_MS = 20_000;

/** A TCP connection to a server of this machine, which writes any bytes. */
export class RawTcp {
  readonly #socket: Socket;
  #received = '';
  #isClosed = false;

  static async open(url: string, localAddress?: string): Promise<RawTcp> {
    const { hostname, port } = new URL(url);
    const socket = connect({
      host: hostname,
      port: Number(port),
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await once(socket, 'connect');
    return new RawTcp(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
    });
    socket.on('error', () => {
      this.#isClosed = true;
    });
    socket.on('close', () => {
      this.#isClosed = true;
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  write(bytes: string | Buffer): void {
    if (!this.#isClosed) this.#socket.write(bytes);
  }

  /** Waits for a status line or the connection's end. @returns `http 400`, or `closed` */
  async answer(): Promise<string> {
    await until('an answer', () => this.#isClosed || this.#status() !== undefined, Boolean, ANSWER_WITHIN_MS);
    return this.#status() ?? 'closed';
  }

  #status(): string | undefined {
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(this.#received)?.[1];
    return status === undefined ? undefined : `http ${status}`;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Sends one request unchanged. @returns `http 400`, or `closed` */
export async function rawHttp(url: string, request: string | Buffer, localAddress?: string): Promise<string> {
  const connection = await RawTcp.open(url, localAddress);
  try {
    connection.write(request);
    return await connection.answer();
  } finally {
    connection.close();
  }
}
