import { PlenaryError } from '@plenary/cluster/errors';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { TOKEN_WITHIN_MS, type GetToken } from './ask-application.ts';
import { eventually } from './testing/eventually.ts';
import { meet, phase } from './testing/meet.ts';
import { ScriptedEdge, refuse } from './testing/scripted-edge.ts';

/** A hook of an application's untyped script, which may return anything. */
const hook = (does: (request: { readonly fresh: boolean }) => unknown): GetToken =>
  does as (...request: Parameters<GetToken>) => ReturnType<GetToken>;

describe('getToken of an application', () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test.each<[string, (request: { readonly fresh: boolean }) => unknown]>([
    ['rejects', () => Promise.reject(new Error('the session at the application is over'))],
    [
      'throws',
      () => {
        throw new TypeError('x is not a function');
      },
    ],
    ['gives nothing', () => undefined],
    ['gives null', () => Promise.resolve(null)],
    ['gives a number', () => 7],
    ['gives no token', () => Promise.resolve('')],
    ['gives a sentence', () => Promise.resolve('<!doctype html><title>Please log in</title>')],
    ['gives far too much', () => 'x'.repeat(100_000)],
    ['gives an answer of its server', () => ({ status: 403 })],
    ['names edges that are none', () => ({ token: 'eyJ', edgeUrls: ['javascript:alert(1)'] })],
  ])(
    '[RJ10] that %s fails the join at once with `token_unavailable`, and is called again by the next join',
    async (_how, does) => {
      const edge = new ScriptedEdge();
      let isWell = false;
      const getToken = hook((request) => (isWell ? 'eyJ' : does(request)));
      const meeting = meet(edge, { getToken });

      await expect(meeting.join()).rejects.toMatchObject({ code: 'token_unavailable' });
      expect(meeting.getSnapshot().connection).toMatchObject({ error: { code: 'token_unavailable' } });
      expect(JSON.stringify(meeting.getSnapshot().connection)).not.toContain('Please log in');
      expect(edge.requests('join')).toEqual([]);

      isWell = true;
      await meeting.join();

      expect(phase(meeting)).toBe('joined');
    },
  );

  test('[RJ10] that never answers fails at its time limit, and its late answer has no effect', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const edge = new ScriptedEdge();
    const { promise, resolve } = Promise.withResolvers<string>();
    const meeting = meet(edge, { getToken: () => promise });
    const refused = expect(meeting.join()).rejects.toMatchObject({ code: 'token_unavailable' });
    await vi.advanceTimersByTimeAsync(TOKEN_WITHIN_MS + 1_000);
    await refused;
    resolve('late');
    await vi.advanceTimersByTimeAsync(30_000);

    expect(edge.requests('join')).toEqual([]);
    expect(phase(meeting)).toBe('failed');
  });

  test('[RJ10] may reject with an error of the table, which is passed on unchanged', async () => {
    const getToken = hook(() => Promise.reject(new PlenaryError('access_revoked')));
    await expect(meet(new ScriptedEdge(), { getToken }).join()).rejects.toMatchObject({
      code: 'access_revoked',
    });
  });

  test('[RJ29] that fails during a rejoin is called again until it returns a token', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const edge = new ScriptedEdge();
    const freshRequested: boolean[] = [];
    const getToken = hook(({ fresh }) => {
      freshRequested.push(fresh);
      return freshRequested.length === 2
        ? Promise.reject(new Error('502'))
        : { token: 'eyJ', canRejoin: false };
    });
    const meeting = meet(edge, { getToken });
    await meeting.join();

    edge.on.resume = () => refuse('session_gone');
    edge.socket.drop();

    await eventually(() => expect(edge.requests('join')).toHaveLength(2));
    await eventually(() => expect(phase(meeting)).toBe('joined'));
    expect(freshRequested).toEqual([false, true, true]);
  });
});
