import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** What it answers in the service's place; or nothing at all. */
export type FrontAnswer =
  | {
      readonly status: number;
      readonly text: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | 'nothing';

/** Stands before an HTTP service, and can answer in its place. */
export class HttpFront {
  /** Host and port. */
  readonly address: string;
  readonly #server: Server;
  readonly #target: string;
  readonly #held = new Set<ServerResponse>();
  #answer: FrontAnswer | undefined;
  #answerTo: (url: string) => FrontAnswer | undefined = () => undefined;

  static async to(target: string): Promise<HttpFront> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HttpFront(server, target);
  }

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The front has no port.');
    this.address = `127.0.0.1:${address.port}`;
    server.on('request', (asked: IncomingMessage, answer: ServerResponse) => {
      this.#held.add(answer);
      answer.on('close', () => this.#held.delete(answer));
      this.#take(asked, answer);
    });
  }

  /** From now on everything is answered so, also what is under way; `undefined`: by the service itself. */
  answerAll(answer: FrontAnswer | undefined): void {
    this.#answer = answer;
    if (answer === undefined || answer === 'nothing') return;
    for (const held of this.#held) if (!held.headersSent) respond(held, answer);
  }

  /** From now on new requests are answered so, by their path and query; `undefined`: by the service itself. */
  answerSome(answerTo: (url: string) => FrontAnswer | undefined): void {
    this.#answerTo = answerTo;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #take(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, headers, url = '/' } = asked;
    const own = this.#answer ?? this.#answerTo(url);
    if (own === 'nothing') return;
    if (own !== undefined) {
      respond(answer, own);
      return;
    }
    const sent = request(`${this.#target}${url}`, { method, headers }, (reply) => {
      if (this.#answer !== undefined) {
        reply.resume();
        return;
      }
      answer.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(answer);
    });
    sent.on('error', () => answer.destroy());
    answer.on('close', () => sent.destroy());
    asked.pipe(sent);
  }
}

function respond(
  answer: ServerResponse,
  { status, text, headers = {} }: Exclude<FrontAnswer, 'nothing'>,
): void {
  answer.writeHead(status, { 'content-type': 'text/plain', ...headers });
  answer.end(text);
}
