import { ROOM_NAME } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ParentTokens, type FramedWindow } from './parent-tokens.ts';
import { fetchServiceInfo } from './service-info.ts';

const APP = 'https://app.example';
const OTHER = 'https://other.example';

interface Asked {
  readonly message: { readonly id: string; readonly fresh: boolean };
  readonly origin: unknown;
}

/** A window in a frame, whose parent does as a test says. */
function frame(parentOrigin?: string) {
  const asked: Asked[] = [];
  const listeners = new Set<(event: MessageEvent) => void>();
  const parent = {
    postMessage: (message: Asked['message'], origin: unknown) => asked.push({ message, origin }),
  } as FramedWindow['parent'];
  const own: FramedWindow = {
    parent,
    location: parentOrigin === undefined ? {} : { ancestorOrigins: { 0: parentOrigin } },
    addEventListener: (_type, listener) => listeners.add(listener),
    removeEventListener: (_type, listener) => listeners.delete(listener),
  };
  const say = (data: unknown, origin = APP, source: unknown = parent): void => {
    for (const listener of [...listeners]) listener({ data, origin, source } as MessageEvent);
  };
  const tokens = new ParentTokens(ROOM_NAME.parse('daily'), () => Promise.resolve([APP, OTHER]), own);
  return { asked, listeners, tokens, say };
}

describe('tokens of the page around', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('[RJ7] asks only sites that may embed the page, and tells no more than room and reason', async () => {
    const { tokens, asked, say } = frame();
    const got = tokens.get({ fresh: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(asked.map(({ origin }) => origin)).toEqual([APP, OTHER]);
    expect(asked[0]?.message).toEqual({
      type: 'plenary.getToken',
      id: expect.any(String) as string,
      roomId: 'daily',
      fresh: true,
    });
    say({ type: 'plenary.token', id: asked[0]?.message.id, token: 'eyJ' });
    expect(await got).toEqual({ token: 'eyJ' });
  });

  test('[RJ7] believes only the parent, of one of these sites, that answers this very question', async () => {
    const { tokens, asked, say, listeners } = frame();
    const got = tokens.get({ fresh: false });
    await vi.advanceTimersByTimeAsync(0);
    const id = asked[0]?.message.id;
    say({ type: 'plenary.token', id, token: 'of another site' }, 'https://evil.example');
    say({ type: 'plenary.token', id, token: 'of another window' }, APP, {});
    say({ type: 'plenary.token', id: 'another', token: 'of another question' });
    say({ type: 'something', id, token: 'of another kind' });
    for (const nonsense of [undefined, null, 7, 'text', []]) say(nonsense);
    say({ type: 'plenary.token', id, token: 'right' }, OTHER);
    expect(await got).toEqual({ token: 'right' });
    expect(listeners.size).toBe(0);
  });

  test('[RJ7] where the browser tells who the parent is, nobody else is asked', async () => {
    const [known, foreign] = [frame(APP), frame('https://evil.example')];
    const unavailable = { code: 'token_unavailable' };
    // Whom nobody may be asked about is told so without a wait.
    await expect(foreign.tokens.get({ fresh: false })).rejects.toMatchObject(unavailable);
    const refused = expect(known.tokens.get({ fresh: false })).rejects.toMatchObject(unavailable);
    await vi.advanceTimersByTimeAsync(10_000);
    await refused;
    expect(known.asked.map(({ origin }) => origin)).toEqual([APP]);
    expect(foreign.asked).toEqual([]);
  });

  test('[RJ10] a refusal, and a parent that says nothing, are told as what they are', async () => {
    const { tokens, asked, say, listeners } = frame();
    const refused = expect(tokens.get({ fresh: false })).rejects.toMatchObject({
      code: 'guests_not_allowed',
    });
    await vi.advanceTimersByTimeAsync(0);
    say({ type: 'plenary.token', id: asked[0]?.message.id, refused: true });
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
  ])('[RJ10] a parent that answers with something else is told as what it is: %j', async (garbage) => {
    const { tokens, asked, say, listeners } = frame();
    const refused = expect(tokens.get({ fresh: false })).rejects.toMatchObject({ code: 'token_unavailable' });
    await vi.advanceTimersByTimeAsync(0);
    say({ type: 'plenary.token', id: asked[0]?.message.id, ...garbage });
    await refused;
    expect(listeners.size).toBe(0);
  });
});

describe('what the edge tells of the service', () => {
  test('[RJ8] is read, and what is no answer is none', async () => {
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
