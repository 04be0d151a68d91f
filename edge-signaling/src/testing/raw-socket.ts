import { get } from 'node:http';
import type { ClientRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { waitFor } from './wait-for.ts';

/** A WebSocket that sends whatever it is told, and answers the edge's pings: for what no Socket.IO client would send. */
export class RawSocket {
  readonly received: string[] = [];
  readonly #socket: WebSocket;
  #isClosed = false;

  static async open(edgeUrl: string): Promise<RawSocket> {
    const attempt = (): RawSocket =>
      new RawSocket(`${edgeUrl.replace(/^http/, 'ws')}/socket.io/?EIO=4&transport=websocket`);
    let raw = attempt();
    return waitFor('the open packet', () => {
      if (raw.received.some((frame) => frame.startsWith('0{'))) return raw;
      // An edge that is behind refuses who comes, and lets them in later (SPEC HE7).
      if (raw.#isClosed) raw = attempt();
      return undefined;
    });
  }

  private constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener('message', ({ data }) => {
      this.received.push(String(data));
      if (data === '2') this.send('3');
    });
    this.#socket.addEventListener('close', () => {
      this.#isClosed = true;
    });
  }

  async enterNamespace(): Promise<void> {
    this.send('40');
    await waitFor('the namespace', () => this.received.some((frame) => frame.startsWith('40{')));
  }

  send(frame: string | Uint8Array<ArrayBuffer>): void {
    if (!this.#isClosed) this.#socket.send(frame);
  }

  async closed(): Promise<void> {
    await waitFor('the edge to close the connection', () => this.#isClosed);
  }

  /** Waits until the edge either closed the connection or answered one more message. */
  async closedOrAnswering(): Promise<void> {
    const before = this.received.length;
    this.send('4299["no.such",{}]');
    const answered = (): boolean => this.received.slice(before).some((frame) => frame.startsWith('4399'));
    await waitFor('the edge to close or to answer', () => this.#isClosed || answered());
  }

  close(): void {
    this.#socket.close();
  }
}

function shakeHands(edgeUrl: string, headers: Record<string, string> = {}): ClientRequest {
  return get(`${edgeUrl}/socket.io/?EIO=4&transport=websocket`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    },
  });
}

/** The status with which an edge answers a WebSocket handshake: 101 when it opens one. */
export async function upgradeStatus(edgeUrl: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = shakeHands(edgeUrl, headers);
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', reject);
  });
}

/** A connection that is a WebSocket by now, for frames that no WebSocket would write. What it sends is read and dropped. */
export async function upgraded(edgeUrl: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = shakeHands(edgeUrl);
    request.on('upgrade', (_, socket) => {
      socket.on('error', () => undefined);
      resolve(socket.resume());
    });
    request.on('error', reject);
  });
}
