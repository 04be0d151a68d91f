import { TRANSPORT_ID } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { newCounters } from './counters.ts';
import { newRequestId } from './request-edge.ts';
import { EdgeLink } from './rpc.ts';
import { ScriptedEdge, NO_ANSWER } from './testing/scripted-edge.ts';

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
    const silent = vi.fn();
    const handlers = { opened: vi.fn(), closed: vi.fn(), notice: vi.fn(), silent };
    const environment = { counters: newCounters(), log: { warn: vi.fn() }, connectTimeoutMs: 4_000 };
    const link = new EdgeLink(edge, 'http://edge-a.test:3000', handlers, environment);
    await vi.advanceTimersByTimeAsync(1);
    return { link, silent };
  }

  test('[SE16] tells after six seconds that nothing came since a request', async () => {
    const { link, silent } = await open();
    link.request('chat.post', { requestId: newRequestId(), text: 'hi' }).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(5_999);
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(silent).toHaveBeenCalledOnce();
    link.close();
  });

  test('[SE16] tells it after two seconds where media has fallen silent too', async () => {
    const { link, silent } = await open();
    const transportId = TRANSPORT_ID.parse('transport');
    link.request('transport.restartIce', { transportId }).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(silent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(silent).toHaveBeenCalledOnce();
    link.close();
  });

  test('[SE17] tells it after one where the client asked just because of that', async () => {
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
