import { ROOM_NAME } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ParentTokens, type FramedWindow } from './parent-tokens.ts';
import { fetchServiceInfo } from './service-info.ts';

const APP = 'https://app.example';
const OTHER = 'https://other.example';

interface SentMessage {
  readonly message: { readonly id: string; readonly fresh: boolean };
  readonly origin: unknown;
}

/** A framed window whose parent is scripted by the test. */
function frame(parentOrigin?: string) {
  const sentMessages: SentMessage[] = [];
  const listeners = new Set<(event: MessageEvent) => void>();
  const parent = {
    postMessage: (message: SentMessage['message'], origin: unknown) => sentMessages.push({ message, origin }),
  } as FramedWindow['parent'];
  const own: FramedWindow = {
    parent,
    location: parentOrigin === undefined ? {} : { ancestorOrigins: { 0: parentOrigin } },
    addEventListener: (_type, listener) => listeners.add(listener),
    removeEventListener: (_type, listener) => listeners.delete(listener),
  };
  const postFromParent = (data: unknown, origin = APP, source: unknown = parent): void => {
    for (const listener of [...listeners]) listener({ data, origin, source } as MessageEvent);
  };
  const tokens = new ParentTokens(ROOM_NAME.parse('daily'), () => Promise.resolve([APP, OTHER]), own);
  return { sentMessages, listeners, tokens, postFromParent };
}

describe('tokens of the embedding page', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('[RJ7] are requested only from sites that may embed the page, with no more than room and reason', async () => {
    const { tokens, sentMessages, postFromParent } = frame();
    const got = tokens.get({ fresh: true });
    await vi.advanceTimersByTimeAsync(0);

    expect(sentMessages.map(({ origin }) => origin)).toEqual([APP, OTHER]);
    expect(sentMessages[0]?.message).toEqual({
      type: 'plenary.getToken',
      id: expect.any(String) as string,
      roomId: 'daily',
      fresh: true,
    });

    postFromParent({ type: 'plenary.token', id: sentMessages[0]?.message.id, token: 'eyJ' });

    expect(await got).toEqual({ token: 'eyJ' });
  });

  test('[RJ7] are accepted only from the parent, from an allowed site, and in reply to this request', async () => {
    const { tokens, sentMessages, postFromParent, listeners } = frame();
    const got = tokens.get({ fresh: false });
    await vi.advanceTimersByTimeAsync(0);
    const id = sentMessages[0]?.message.id;
    postFromParent({ type: 'plenary.token', id, token: 'of another site' }, 'https://evil.example');
    postFromParent({ type: 'plenary.token', id, token: 'of another window' }, APP, {});
    postFromParent({ type: 'plenary.token', id: 'another', token: 'of another question' });
    postFromParent({ type: 'something', id, token: 'of another kind' });
    for (const nonsense of [undefined, null, 7, 'text', []]) postFromParent(nonsense);
    postFromParent({ type: 'plenary.token', id, token: 'right' }, OTHER);

    expect(await got).toEqual({ token: 'right' });
    expect(listeners.size).toBe(0);
  });

  test('[RJ7] are requested only from the parent’s origin if the browser reveals it', async () => {
    const [known, foreign] = [frame(APP), frame('https://evil.example')];
    const unavailable = { code: 'token_unavailable' };

    // Without an allowed parent the request fails without a wait.
    await expect(foreign.tokens.get({ fresh: false })).rejects.toMatchObject(unavailable);

    const refused = expect(known.tokens.get({ fresh: false })).rejects.toMatchObject(unavailable);
    await vi.advanceTimersByTimeAsync(10_000);
    await refused;

    expect(known.sentMessages.map(({ origin }) => origin)).toEqual([APP]);
    expect(foreign.sentMessages).toEqual([]);
  });

  test('[RJ10] fail with `token_unavailable` if the parent refuses or does not answer', async () => {
    const { tokens, sentMessages, postFromParent, listeners } = frame();
    const refused = expect(tokens.get({ fresh: false })).rejects.toMatchObject({
      code: 'guests_not_allowed',
    });
    await vi.advanceTimersByTimeAsync(0);
    postFromParent({ type: 'plenary.token', id: sentMessages[0]?.message.id, refused: true });
    await refused;
    const silent = expect(tokens.get({ fresh: false })).rejects.toMatchObject({ code: 'token_unavailable' });
    await vi.advanceTimersByTimeAsync(10_000);
    await silent;

    expect(listeners.size).toBe(0);
  });

  test.each([
    {},
    { token: 7 },
    { token: '' },
    { token: 'two words' },
    { token: 'x'.repeat(5_000) },
    { token: 'eyJ', refused: 'no' },
    { token: { text: 'eyJ' } },
  ])('[RJ10] fail with `token_unavailable` if the parent answers %j', async (garbage) => {
    const { tokens, sentMessages, postFromParent, listeners } = frame();
    const refused = expect(tokens.get({ fresh: false })).rejects.toMatchObject({ code: 'token_unavailable' });
    await vi.advanceTimersByTimeAsync(0);
    postFromParent({ type: 'plenary.token', id: sentMessages[0]?.message.id, ...garbage });
    await refused;

    expect(listeners.size).toBe(0);
  });
});

describe('the edge’s description of the service', () => {
  test('[RJ8] is parsed, and a malformed one is ignored', async () => {
    const answer =
      (body: string, status = 200) =>
      () =>
        Promise.resolve(new Response(body, { status }));
    const info = { guests: false, embedOrigins: [APP] };

    expect(await fetchServiceInfo(answer(JSON.stringify(info)))).toEqual(info);
    expect(await fetchServiceInfo(answer('<p>', 200))).toBeUndefined();
    expect(await fetchServiceInfo(answer(JSON.stringify(info), 503))).toBeUndefined();
    expect(await fetchServiceInfo(answer('{"guests":"no"}'))).toBeUndefined();
    expect(await fetchServiceInfo(() => Promise.reject(new Error('away')))).toBeUndefined();
  });
});
