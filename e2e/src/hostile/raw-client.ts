import { WebSocket } from 'ws';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import { REPLY_ENVELOPE, WIRE_ERROR } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { until } from '../harness/until.ts';

/** Every edge answers this probe with `unknown_message`, after it has handled all earlier frames. */
const PROBE_NAME = 'no.such';
/** Far beyond what a loaded machine needs, in milliseconds. */
const ANSWER_WITHIN_MS = 20_000;

const OPENED = z.looseObject({ sid: z.string() });
const NOTICE = z.tuple([z.string(), WIRE_ERROR]);

export interface RawClientOptions {
  /** The address of this machine to connect from; any 127.x.y.z works. */
  readonly localAddress?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces Engine.IO's own path. */
  readonly path?: string;
  /** Replaces the attacked edge. */
  readonly edgeUrl?: string;
}

/** A handshake that opened no WebSocket, with its answer: `refused 403` or `closed`. */
export class HandshakeRefused extends Error {
  override readonly name = 'HandshakeRefused';
}

/** A WebSocket to an edge that sends any frame, as no well-behaved client would, and answers the edge's pings. */
export class RawClient {
  readonly received: string[] = [];
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  #isClosed = false;
  #lastAcknowledgement = 0;
  /** Callbacks by acknowledgement id; they get `undefined` if the connection closed before the answer. */
  readonly #waiting = new Map<string, (frame: string | undefined) => void>();

  /** @throws HandshakeRefused */
  static async open(edgeUrl: string, options: RawClientOptions = {}): Promise<RawClient> {
    const client = new RawClient(edgeUrl, options);
    await client.#opened;
    return client;
  }

  private constructor(edgeUrl: string, { localAddress, headers, path }: RawClientOptions) {
    const url = `${edgeUrl.replace(/^http/, 'ws')}${path ?? '/socket.io/?EIO=4&transport=websocket'}`;
    this.#socket = new WebSocket(url, {
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(headers === undefined ? {} : { headers: { ...headers } }),
      perMessageDeflate: false,
    });
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.once('open', resolve);
      this.#socket.once('unexpected-response', (request, response) => {
        reject(new HandshakeRefused(`refused ${response.statusCode}`));
        request.destroy();
      });
      this.#socket.once('error', () => reject(new HandshakeRefused('closed')));
    });
    this.#socket.on('message', (data, isBinary) => {
      const frame = isBinary ? '' : toText(data);
      const acknowledged = /^43(\d+)\[/.exec(frame)?.[1] ?? '';
      const answer = this.#waiting.get(acknowledged);
      this.#waiting.delete(acknowledged);
      if (answer !== undefined) answer(frame);
      else this.received.push(frame);
      if (frame === '2') this.send('3');
    });
    this.#socket.on('close', () => {
      this.#isClosed = true;
      for (const answer of this.#waiting.values()) answer(undefined);
      this.#waiting.clear();
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The id that the edge gave this connection when its namespace opened; a client signs it to resume. */
  get id(): string {
    const opened = this.received.find((frame) => frame.startsWith('40{'));
    return opened === undefined ? '' : OPENED.parse(JSON.parse(opened.slice(2))).sid;
  }

  /** How many bytes the edge has not accepted yet. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Opens the namespace. @returns `ok` or `closed` */
  async enter(): Promise<string> {
    this.send('40');
    await until(
      'the namespace',
      () => this.#isClosed || this.received.some((frame) => frame.startsWith('40{')),
      Boolean,
      ANSWER_WITHIN_MS,
    );
    return this.#isClosed ? 'closed' : 'ok';
  }

  send(frame: string | Buffer): void {
    if (!this.#isClosed) this.#socket.send(frame);
  }

  /** Sends a request. @returns `ok` with its data, an error code, or `closed` */
  async request(
    name: ClientRequestName,
    payload: unknown,
  ): Promise<{ readonly outcome: string; readonly data?: unknown }> {
    const envelope = await this.#answerTo(name, JSON.stringify(payload));
    if (envelope === undefined) return { outcome: 'closed' };
    return envelope.ok ? { outcome: 'ok', data: envelope.data } : { outcome: envelope.error.code };
  }

  /** The outcome of a request: `ok`, an error code, or `closed`. */
  async ask(name: ClientRequestName, payload: unknown): Promise<string> {
    return (await this.request(name, payload)).outcome;
  }

  /**
   * Sends a frame without an acknowledgement, or with an invalid one. @returns the code of the `bye` or `refused` that it caused;
   * `closed` if the edge closed the connection without one, `ignored` if nothing happened
   */
  async outcomeOf(frame: string | Buffer): Promise<string> {
    const before = this.received.length;
    this.send(frame);
    await this.#answerTo(PROBE_NAME, '{}');
    const code = this.received
      .slice(before)
      .map((one) => errorCodeOf(one))
      .find((code) => code !== undefined);
    return code ?? (this.#isClosed ? 'closed' : 'ignored');
  }

  /** @returns `undefined` if the connection closed before the answer */
  async #answerTo(name: string, payload: string): Promise<z.infer<typeof REPLY_ENVELOPE> | undefined> {
    this.#lastAcknowledgement += 1;
    const id = String(this.#lastAcknowledgement);
    const answer = await within(
      ANSWER_WITHIN_MS,
      `the answer to ${name}`,
      new Promise<string | undefined>((resolve) => {
        if (this.#isClosed) return resolve(undefined);
        this.#waiting.set(id, resolve);
        return this.send(`42${id}["${name}",${payload}]`);
      }),
    );
    if (answer === undefined) return undefined;
    const [envelope] = z.tuple([REPLY_ENVELOPE]).parse(JSON.parse(answer.slice(answer.indexOf('['))));
    return envelope;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#socket.close();
    await until('the connection to close', () => this.#isClosed, Boolean, ANSWER_WITHIN_MS);
  }

  /** Drops the connection without a closing handshake, as a host does that loses its power. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Stops reading. */
  pause(): void {
    this.#socket.pause();
  }
}

/** @throws Error if the work takes longer */
async function within<Result>(timeoutMs: number, what: string, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${timeoutMs} ms for: ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error code of a `bye` or `refused` frame. */
export function errorCodeOf(frame: string): string | undefined {
  if (!frame.startsWith('42["bye"') && !frame.startsWith('42["refused"')) return undefined;
  const [, error] = NOTICE.parse(JSON.parse(frame.slice(2)));
  return error.code;
}

function toText(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.from(data instanceof ArrayBuffer ? new Uint8Array(data) : data).toString('utf8');
}
