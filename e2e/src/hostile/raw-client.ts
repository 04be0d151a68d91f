import { WebSocket } from 'ws';
import type { ClientRequestName } from '@plenary/cluster/protocol';
import { REPLY_ENVELOPE, WIRE_ERROR } from '@plenary/cluster/protocol';
import { z } from 'zod';
import { until } from '../harness/until.ts';

/** A probe that every edge answers with `unknown_message`, so that what came before it has been dealt with. */
const PROBE_NAME = 'no.such';
/** Far beyond what a loaded machine needs. */
const ANSWER_WITHIN_MS = 20_000;

const OPENED = z.looseObject({ sid: z.string() });
const NOTICE = z.tuple([z.string(), WIRE_ERROR]);

export interface RawClientOptions {
  /** The address of this machine to connect from; any 127.x.y.z is one. */
  readonly localAddress?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of Engine.IO's own. */
  readonly path?: string;
  /** In place of the attacked one. */
  readonly edgeUrl?: string;
}

/** What a handshake was answered with, where it opened no WebSocket: `refused 403`, `closed`. */
export class HandshakeRefused extends Error {
  override readonly name = 'HandshakeRefused';
}

/** A WebSocket to an edge that sends any frame, and answers the edge's pings: what no well-behaved client would do. */
export class RawClient {
  readonly received: string[] = [];
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  #isClosed = false;
  #lastAcknowledgement = 0;
  /** Who waits for which acknowledgement; `undefined` says that the connection closed before it. */
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

  /** The id that the edge gave this connection, once its namespace is open: what a client signs to resume. */
  get id(): string {
    const opened = this.received.find((frame) => frame.startsWith('40{'));
    return opened === undefined ? '' : OPENED.parse(JSON.parse(opened.slice(2))).sid;
  }

  /** How much the edge has not taken yet, in bytes. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Opens the namespace. @returns what it was answered with: `ok` or `closed` */
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

  /** Sends a request. @returns `ok` with its data, the code of its error, or `closed` */
  async request(
    name: ClientRequestName,
    payload: unknown,
  ): Promise<{ readonly outcome: string; readonly data?: unknown }> {
    const envelope = await this.#answerTo(name, JSON.stringify(payload));
    if (envelope === undefined) return { outcome: 'closed' };
    return envelope.ok ? { outcome: 'ok', data: envelope.data } : { outcome: envelope.error.code };
  }

  /** The outcome of a request: `ok`, the code of its error, or `closed`. */
  async ask(name: ClientRequestName, payload: unknown): Promise<string> {
    return (await this.request(name, payload)).outcome;
  }

  /**
   * Sends a frame that asks for no answer, or not in a way that can be told. @returns the code of the `bye` or `refused` that came,
   * `closed` where the edge closed the connection without a word, `ignored` where it went on as if nothing had been sent
   */
  async outcomeOf(frame: string | Buffer): Promise<string> {
    const before = this.received.length;
    this.send(frame);
    await this.#answerTo(PROBE_NAME, '{}');
    const said = this.received
      .slice(before)
      .map((one) => lastWordOf(one))
      .find((code) => code !== undefined);
    return said ?? (this.#isClosed ? 'closed' : 'ignored');
  }

  /** @returns `undefined` where the connection closed before the answer */
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

  /** Lets go of the connection without a word, as a host does that lost its power. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Reads nothing more. */
  pause(): void {
    this.#socket.pause();
  }
}

/** @throws Error when it takes longer */
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

/** The code of a `bye` or `refused`. */
export function lastWordOf(frame: string): string | undefined {
  if (!frame.startsWith('42["bye"') && !frame.startsWith('42["refused"')) return undefined;
  const [, error] = NOTICE.parse(JSON.parse(frame.slice(2)));
  return error.code;
}

function toText(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.from(data instanceof ArrayBuffer ? new Uint8Array(data) : data).toString('utf8');
}
