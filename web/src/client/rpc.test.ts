import { EVENT_ID, TRANSPORT_ID } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { newCounters } from './counters.ts';
import { newRequestId } from './request-edge.ts';
import { EdgeLink } from './rpc.ts';
import { ScriptedEdge, NO_ANSWER, refuse } from './testing/scripted-edge.ts';

describe('a connection to an edge', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function open() {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => NO_ANSWER;
    edge.on['transport.restartIce'] = () => NO_ANSWER;
    edge.on['media.check'] = () => NO_ANSWER;
    edge.on['edge.check'] = () => NO_ANSWER;
    const silent = vi.fn();
    const handlers = { opened: vi.fn(), closed: vi.fn(), notice: vi.fn(), silent };
    const environment = { counters: newCounters(), log: { warn: vi.fn() }, connectTimeoutMs: 4_000 };
    const link = new EdgeLink(edge, 'http://edge-a.test:3000', handlers, environment);
    await vi.advanceTimersByTimeAsync(1);
    return { edge, link, silent };
  }

  const ask = (link: EdgeLink): void => {
    link.request('chat.post', { requestId: newRequestId(), text: 'hi' }).catch(() => undefined);
  };

  test('[SE16] [SE19] asks after 1.5 seconds for a sign of life, and tells after three that none came', async () => {
    const { edge, link, silent } = await open();
    ask(link);
    await vi.advanceTimersByTimeAsync(1_000);
    ask(link);
    await vi.advanceTimersByTimeAsync(499);
    expect(edge.requests('edge.check')).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(edge.requests('edge.check')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_499);
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(2);
    expect(silent).toHaveBeenCalledExactlyOnceWith('edge.check');
    expect(edge.requests('edge.check')).toHaveLength(1);
    link.close();
  });

  test.each(['an answer', 'a refusal, as by an edge that does not know the question'])(
    '[SE55] leaves an edge alone that gives %s, and asks again as long as it owes an answer',
    async (what) => {
      const { edge, link, silent } = await open();
      edge.on['edge.check'] = () => (what === 'an answer' ? {} : refuse('unknown_message'));
      ask(link);
      await vi.advanceTimersByTimeAsync(9_000);
      expect(silent).not.toHaveBeenCalled();
      expect(edge.requests('edge.check').length).toBeGreaterThan(3);
      await vi.advanceTimersByTimeAsync(2_000);
      const asked = edge.requests('edge.check').length;
      // The request itself has failed by now, so that nothing is owed.
      await vi.advanceTimersByTimeAsync(20_000);
      expect(edge.requests('edge.check')).toHaveLength(asked);
      edge.on['edge.check'] = () => NO_ANSWER;
      ask(link);
      await vi.advanceTimersByTimeAsync(3_001);
      expect(silent).toHaveBeenCalledOnce();
      link.close();
    },
  );

  test('[SE20] asks an edge that tells how far the room is, and then nothing more, although nothing was asked of it', async () => {
    const { edge, link, silent } = await open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(edge.requests('edge.check')).toHaveLength(0);
    for (let heads = 0; heads < 20; heads += 1) {
      edge.notify('head', { lastEventId: '100-0' });
      await vi.advanceTimersByTimeAsync(2_000);
    }
    expect(edge.requests('edge.check')).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(4_100);
    expect(silent).toHaveBeenCalledExactlyOnceWith('edge.check');
    link.close();
  });

  test('[SE55] leaves an edge alone that has nothing to tell, as while the store is away, and gives a sign of life', async () => {
    const { edge, link, silent } = await open();
    edge.on['edge.check'] = () => ({});
    edge.notify('head', { lastEventId: '100-0' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(silent).not.toHaveBeenCalled();
    expect(edge.requests('edge.check').length).toBeLessThan(18);
    // What is asked of it meanwhile is waited for no longer than otherwise.
    edge.on['edge.check'] = () => NO_ANSWER;
    ask(link);
    await vi.advanceTimersByTimeAsync(3_001);
    expect(silent).toHaveBeenCalledOnce();
    link.close();
  });

  test('[SE19] asks nothing while anything comes from the edge', async () => {
    const { edge, link, silent } = await open();
    ask(link);
    for (let passed = 0; passed < 8; passed += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      edge.notify('head', { lastEventId: EVENT_ID.parse('100-0') });
    }
    expect(edge.requests('edge.check')).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(edge.requests('edge.check')).toHaveLength(1);
    // While it is waited for, anything that comes is one.
    edge.notify('head', { lastEventId: EVENT_ID.parse('100-0') });
    await vi.advanceTimersByTimeAsync(400);
    expect(silent).not.toHaveBeenCalled();
    link.close();
  });

  test('[SE19] does not ask an edge that takes its time to let somebody in', async () => {
    const { edge, link, silent } = await open();
    edge.on.resume = () => NO_ANSWER;
    const proof = 'A'.repeat(86);
    const request = {
      protocolVersion: 1,
      roomId: 'room',
      sessionToken: 'token',
      proof,
      lastEventId: '100-0',
    };
    link.request('resume', request).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(9_000);
    expect([edge.requests('edge.check').length, silent.mock.calls]).toEqual([0, []]);
    link.close();
  });

  test('[SE47] tells it after two seconds where media has fallen silent too', async () => {
    const { link, silent } = await open();
    const transportId = TRANSPORT_ID.parse('transport');
    link.request('transport.restartIce', { transportId }).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(silent).toHaveBeenCalledOnce();
    link.close();
  });

  test('[SE48] tells it after one where the client asked just because of that', async () => {
    const { link, silent } = await open();
    link.request('media.check', {}).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(999);
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(silent).toHaveBeenCalledExactlyOnceWith('media.check');
    link.close();
  });

  test('[SE16] says nothing once it is closed', async () => {
    const { link, silent } = await open();
    link.request('chat.post', { requestId: newRequestId(), text: 'hi' }).catch(() => undefined);
    link.close();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(silent).not.toHaveBeenCalled();
  });
});
