/**
 * A client that a stranger could write from docs/protocol.md alone. It uses Node and none of our code, so that it knows only
 * what the page says (SPEC PR8).
 */
import { createHmac, randomUUID, sign, webcrypto } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly detail?: Fields;
}

/** The answer to a request. */
export type Envelope =
  { readonly ok: true; readonly data: Fields } | { readonly ok: false; readonly error: Refusal };

/** A JSON object with unknown fields. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Notice {
  readonly name: string;
  readonly payload: Fields;
}

const ANSWER_WITHIN_MS = 10_000;
/** How long a request is retried that a busy cluster refuses, in milliseconds: many tests share this machine. */
const INSIST_FOR_MS = 60_000;
const TRY_AGAIN_MS = 200;
const BUSY: ReadonlySet<string> = new Set([
  'no_media_node',
  'media_unavailable',
  'store_unavailable',
  'timed_out',
]);

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads a JSON object of the wire. @throws Error for any other value */
export function fields(value: unknown): Fields {
  if (isFields(value)) return value;
  throw new Error(`Not a JSON object: ${JSON.stringify(value)}`);
}

/** A list of JSON objects. */
export function list(value: unknown): Fields[] {
  if (!Array.isArray(value)) throw new Error(`Not a list: ${JSON.stringify(value)}`);
  return value.map(fields);
}

/** "Event ids are compared by the first number, then by the second, both as integers." */
export function isNewer(left: string, right: string): boolean {
  const [[leftMs = 0n, leftNumber = 0n], [rightMs = 0n, rightNumber = 0n]] = [left, right].map((id) =>
    id.split('-').map(BigInt),
  ) as [bigint[], bigint[]];
  return leftMs === rightMs ? leftNumber > rightNumber : leftMs > rightMs;
}

/** "An application makes a join token for one person and one room. It is signed in one of two ways." */
export interface Application {
  readonly issuer: string;
  readonly keyId: string;
  readonly algorithm: string;
  readonly sign: (text: string) => Buffer;
}

export const bySecret = (apiKey: string, apiSecret: string): Application => ({
  issuer: apiKey,
  keyId: apiKey,
  algorithm: 'HS256',
  sign: (text) => createHmac('sha256', apiSecret).update(text).digest(),
});

export const byPrivateKey = (
  issuer: string,
  algorithm: 'ES256' | 'EdDSA',
  privateKey: KeyObject,
): Application => ({
  issuer,
  keyId: `${issuer}-${algorithm}`,
  algorithm,
  sign: (text) =>
    sign(algorithm === 'ES256' ? 'sha256' : null, Buffer.from(text), {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    }),
});

/** Claims and header fields with the value `undefined` are left out. */
export function joinToken(application: Application, claims: Fields, header: Fields = {}): string {
  const { issuer, keyId, algorithm } = application;
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const standard = { iss: issuer, aud: 'plenary-join', iat: nowSeconds, exp: nowSeconds + 600 };
  const granted = { sub: `stranger-${randomUUID()}`, role: 'speaker', publish: ['microphone', 'camera'] };
  const signed = [
    { alg: algorithm, typ: 'JWT', kid: keyId, ...header },
    { ...standard, ...granted, ...claims },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${application.sign(signed).toString('base64url')}`;
}

/** "For each session a client makes an ECDSA key on P-256." */
export class SessionKey {
  readonly jwk: Fields;
  readonly #privateKey: webcrypto.CryptoKey;

  static async make(): Promise<SessionKey> {
    const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
      'sign',
      'verify',
    ]);
    const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', pair.publicKey);
    return new SessionKey({ kty, crv, x, y }, pair.privateKey);
  }

  private constructor(jwk: Fields, privateKey: webcrypto.CryptoKey) {
    this.jwk = jwk;
    this.#privateKey = privateKey;
  }

  async prove(connectionId: string, token: string, use = 'plenary-resume'): Promise<string> {
    const text = new TextEncoder().encode(`${use} ${connectionId} ${token}`);
    const signature = await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, this.#privateKey, text);
    return Buffer.from(signature).toString('base64url');
  }
}

interface Waiting {
  readonly what: string;
  readonly look: () => boolean;
  readonly done: () => void;
}

/** One connection, which sends and receives the frames that the page describes. */
export class PageClient {
  readonly notices: Notice[] = [];
  /** The `sid` of `40{"sid":"…"}`. */
  connectionId = '';
  isClosed = false;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, Envelope>();
  readonly #waiting = new Set<Waiting>();
  #number = 0;

  static async connect(url: string): Promise<PageClient> {
    const client = new PageClient(url);
    await client.until('the namespace', () => client.connectionId !== '');
    return client;
  }

  private constructor(url: string) {
    this.#socket = new WebSocket(`${url.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.#socket.addEventListener('message', ({ data }) => {
      this.#take(String(data));
      this.#check();
    });
    this.#socket.addEventListener('close', () => {
      this.isClosed = true;
      this.#check();
    });
  }

  /** Sends a request, and repeats it as long as the cluster answers that it is too busy. */
  async request(name: string, payload: unknown): Promise<Envelope> {
    const untilMs = performance.now() + INSIST_FOR_MS;
    for (;;) {
      const answer = await this.#ask(name, payload);
      const isBusy = !answer.ok && answer.error.retryable && BUSY.has(answer.error.code);
      if (!isBusy || performance.now() > untilMs) return answer;
      await sleep(TRY_AGAIN_MS * (0.5 + Math.random()));
    }
  }

  async #ask(name: string, payload: unknown): Promise<Envelope> {
    const number = (this.#number += 1);
    this.send(`42${number}${JSON.stringify([name, payload])}`);
    await this.until(`the answer to ${name}`, () => this.#answers.has(number) || this.isClosed);
    const answer = this.#answers.get(number);
    if (answer === undefined) throw new Error(`The connection closed before ${name} was answered.`);
    return answer;
  }

  /** The data of a successful request. @throws Error naming the refusal */
  async call(name: string, payload: unknown): Promise<Fields> {
    const answer = await this.request(name, payload);
    if (answer.ok) return answer.data;
    throw new Error(`${name}: ${answer.error.code} (${answer.error.message})`);
  }

  /** `ok`, or the error code. */
  async codeOf(name: string, payload: unknown): Promise<string> {
    const answer = await this.request(name, payload);
    return answer.ok ? 'ok' : answer.error.code;
  }

  send(frame: string): void {
    this.#socket.send(frame);
  }

  noticesOf(name: string): Fields[] {
    return this.notices.filter((notice) => notice.name === name).map(({ payload }) => payload);
  }

  async notice(name: string, fits: (payload: Fields) => boolean = () => true): Promise<Fields> {
    await this.until(`the notice ${name}`, () => this.noticesOf(name).some(fits));
    return fields(this.noticesOf(name).find(fits));
  }

  /** Waits until a condition holds; it is checked after each frame. */
  async until(what: string, look: () => boolean): Promise<void> {
    if (look()) return;
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        what,
        look,
        done: () => {
          clearTimeout(timer);
          this.#waiting.delete(waiting);
          resolve();
        },
      };
      const timer = setTimeout(
        () => reject(new Error(`Timed out while waiting for ${what}.`)),
        2 * ANSWER_WITHIN_MS,
      );
      this.#waiting.add(waiting);
    });
  }

  close(): void {
    this.#socket.close();
  }

  #check(): void {
    for (const waiting of this.#waiting) if (waiting.look()) waiting.done();
  }

  #take(frame: string): void {
    if (frame.startsWith('0{')) this.send('40');
    else if (frame === '2') this.send('3');
    else if (frame.startsWith('40')) this.connectionId = String(fields(JSON.parse(frame.slice(2)))['sid']);
    else if (frame.startsWith('43')) this.#takeAnswer(frame);
    else if (frame.startsWith('42')) {
      const [name, payload] = JSON.parse(frame.slice(2)) as unknown[];
      this.notices.push({ name: String(name), payload: fields(payload) });
    }
  }

  #takeAnswer(frame: string): void {
    const start = frame.indexOf('[');
    const [answer] = JSON.parse(frame.slice(start)) as [Envelope];
    this.#answers.set(Number(frame.slice(2, start)), answer);
  }
}
