import { describe, expect, it, vi } from 'vitest';
import type { HttpResponse } from './port.ts';
import { serveUws } from './uws-adapter.ts';
import type { UwsResponse } from './uws-adapter.ts';

const LARGE = Buffer.alloc(1_000_000, 'x');

/** A connection whose client reads nothing, as uWebSockets.js shows it: what it is given to end with it keeps. */
class UnreadResponse implements UwsResponse {
  keptBytes = 0;
  isClosing = false;
  isAnswered = false;

  writeStatus = (): unknown => this;
  writeHeader = (): unknown => this;
  onAborted = (): unknown => this;
  onData = (): unknown => this;
  onWritable = (): unknown => this;
  close = (): unknown => this;
  getRemoteAddressAsText = (): ArrayBuffer => new ArrayBuffer(0);
  getProxiedRemoteAddressAsText = (): ArrayBuffer => new ArrayBuffer(0);

  cork(write: () => void): void {
    write();
    this.isAnswered = true;
  }

  end(body: Uint8Array | string = '', closesConnection = false): void {
    this.keptBytes += Buffer.byteLength(body);
    this.isClosing = closesConnection;
  }

  endWithoutBody(_length?: number, closesConnection = false): void {
    this.isClosing = closesConnection;
  }

  tryEnd(): readonly [boolean, boolean] {
    return [false, false];
  }
}

/** Answers a request while connections are so many that each answer is to close its own. */
async function answeredInCrowd(method: string, body: HttpResponse['body']) {
  const response = new UnreadResponse();
  const told = vi.fn(() => 'closes' as const);
  const serve = serveUws(
    () => ({ status: 200, headers: {}, body }),
    () => '192.0.2.1',
    told,
  );
  serve(response, { getMethod: () => method, getUrl: () => '/', forEach: () => undefined });
  await expect.poll(() => response.isAnswered).toBe(true);
  return { response, told };
}

describe('while connections are many', () => {
  it('[RL8] [EN37] an answer closes its connection', async () => {
    for (const [method, body] of [
      ['get', 'the page'],
      ['head', LARGE],
    ] as const) {
      const { response, told } = await answeredInCrowd(method, body);
      expect([response.isClosing, told.mock.calls.length]).toEqual([true, 1]);
    }
  });

  it('[RL8] [EN38] a large answer that is not read is not kept, and its connection counts as waiting still', async () => {
    const { response, told } = await answeredInCrowd('get', LARGE);
    expect([response.keptBytes, told.mock.calls.length]).toEqual([0, 0]);
  });
});
