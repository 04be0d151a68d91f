import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

/** A payload type that no codec of the cluster uses. */
const UNUSED_PAYLOAD_TYPE = 99;

/**
 * Stands between a client and its edge and changes the offers of one track so that no client can receive it, as a broken edge or
 * node would. All other frames pass unchanged.
 */
export class PoisoningRelay {
  readonly url: string;
  readonly #http: ReturnType<typeof createServer>;
  readonly #server: WebSocketServer;
  #trackId: string | undefined;

  private constructor(edgeUrl: string, http: ReturnType<typeof createServer>) {
    this.#http = http;
    this.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    this.#server = new WebSocketServer({ server: http });
    this.#server.on('connection', (client, request) => {
      const edge = new WebSocket(`${edgeUrl.replace('http', 'ws')}${request.url ?? ''}`);
      const early: string[] = [];
      client.on('message', (data) => {
        if (edge.readyState === WebSocket.OPEN) edge.send(String(data));
        else early.push(String(data));
      });
      edge.on('open', () => {
        for (const frame of early) edge.send(frame);
      });
      edge.on('message', (data) => {
        client.send(this.#rewrite(String(data)));
      });
      edge.on('close', () => {
        client.close();
      });
      client.on('close', () => {
        edge.close();
      });
    });
  }

  static async start(edgeUrl: string): Promise<PoisoningRelay> {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return new PoisoningRelay(edgeUrl, http);
  }

  /** From now on no client can receive what is offered of this track. */
  poison(trackId: string): void {
    this.#trackId = trackId;
  }

  async stop(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #rewrite(frame: string): string {
    const trackId = this.#trackId;
    const bodyAt = frame.indexOf('[');
    if (trackId === undefined || bodyAt < 0 || !frame.includes('"consumerId"')) return frame;
    // Only the payload types in this track's offer are changed.
    let isOfTrack = false;
    const body: unknown = JSON.parse(frame.slice(bodyAt));
    const changed = JSON.stringify(body, (name, value: unknown) => {
      if (name === 'trackId') isOfTrack = value === trackId;
      return name === 'payloadType' && isOfTrack ? UNUSED_PAYLOAD_TYPE : value;
    });
    return frame.slice(0, bodyAt) + changed;
  }
}
