import { EVENT_ID, REQUEST_TIMEOUT_MS, TRANSPORT_ID } from '@plenary/cluster/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { newCounters } from './counters.ts';
import { newRequestId } from './request-edge.ts';
import { EdgeLink } from './rpc.ts';
import { ScriptedEdge, NO_ANSWER, refuse } from './testing/scripted-edge.ts';

const LAST_EVENT_ID = EVENT_ID.parse('100-0');

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** An edge that accepts connections and leaves every request of these tests unanswered. */
function unresponsiveEdge(): ScriptedEdge {
  const edge = new ScriptedEdge();
  const names = ['chat.post', 'transport.restartIce', 'media.check', 'edge.check', 'resume'] as const;
  for (const name of names) edge.on[name] = () => NO_ANSWER;
  return edge;
}

/** An edge that answers liveness probes and leaves other requests unanswered. */
function edgeThatAnswersProbes(): ScriptedEdge {
  const edge = unresponsiveEdge();
  edge.on['edge.check'] = () => ({});
  return edge;
}

async function openLink(edge: ScriptedEdge) {
  const handlers = { opened: vi.fn(), closed: vi.fn(), notice: vi.fn(), silent: vi.fn() };
  const counters = newCounters();
  const log = { warn: vi.fn() };
  const environment = { counters, log, connectTimeoutMs: 4_000 };
  const link = new EdgeLink(edge, 'http://edge-a.test:3000', handlers, environment);
  await vi.advanceTimersByTimeAsync(1);
  return { link, counters, log, ...handlers };
}

const requestChat = (link: EdgeLink, text = 'hi') =>
  link.request('chat.post', { requestId: newRequestId(), text });

/** Sends a request whose result the test does not need. */
function sendRequest(link: EdgeLink): void {
  requestChat(link).catch(() => undefined);
}

async function sendHeads(edge: ScriptedEdge, count: number, intervalMs: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 1) {
    edge.notify('head', { lastEventId: LAST_EVENT_ID });
    await vi.advanceTimersByTimeAsync(intervalMs);
  }
}

const probesOf = (edge: ScriptedEdge): number => edge.requests('edge.check').length;

describe('a request to the edge', () => {
  test('resolves with the parsed reply', async () => {
    const { link } = await openLink(new ScriptedEdge());

    const reply = requestChat(link, 'hello');
    await vi.advanceTimersByTimeAsync(1);

    await expect(reply).resolves.toMatchObject({ message: { text: 'hello', peerId: 'self' } });
  });

  test('fails with the code of the edge’s refusal', async () => {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => refuse('rate_limited');
    const { link } = await openLink(edge);

    const outcome = expect(requestChat(link)).rejects.toMatchObject({ code: 'rate_limited' });
    await vi.advanceTimersByTimeAsync(1);

    await outcome;
  });

  test('fails with `timed_out` and is counted when no reply arrives within the time limit', async () => {
    const { link, counters } = await openLink(edgeThatAnswersProbes());

    const outcome = expect(requestChat(link)).rejects.toMatchObject({ code: 'timed_out' });
    await vi.advanceTimersByTimeAsync(REQUEST_TIMEOUT_MS);

    await outcome;
    expect(counters.timedOut).toBe(1);
  });

  test('is still pending just before its time limit', async () => {
    const { link, counters } = await openLink(edgeThatAnswersProbes());
    const failed = vi.fn();

    requestChat(link).catch(failed);
    await vi.advanceTimersByTimeAsync(REQUEST_TIMEOUT_MS - 1);

    expect(failed).not.toHaveBeenCalled();
    expect(counters.timedOut).toBe(0);
  });

  test('ignores a reply that arrives after the time limit', async () => {
    const edge = edgeThatAnswersProbes();
    const lateReply = Promise.withResolvers<unknown>();
    edge.on['chat.post'] = () => lateReply.promise;
    const { link, counters } = await openLink(edge);
    const outcome = expect(requestChat(link)).rejects.toMatchObject({ code: 'timed_out' });
    await vi.advanceTimersByTimeAsync(REQUEST_TIMEOUT_MS);

    lateReply.resolve('not a reply at all');
    await vi.advanceTimersByTimeAsync(1);

    await outcome;
    expect(counters.malformed).toBe(0);
  });

  test('fails with `malformed_message`, is counted and logged when the reply violates its schema', async () => {
    const edge = new ScriptedEdge();
    edge.on['chat.post'] = () => ({ message: 'not a message' });
    const { link, counters, log } = await openLink(edge);

    const outcome = expect(requestChat(link)).rejects.toMatchObject({
      code: 'malformed_message',
      message: 'The message does not fit its schema. It is the reply to chat.post.',
    });
    await vi.advanceTimersByTimeAsync(1);

    await outcome;
    expect(counters.malformed).toBe(1);
    expect(log.warn).toHaveBeenCalledExactlyOnceWith(
      'the reply to chat.post does not fit its schema',
      expect.anything(),
    );
  });

  test('is not sent when it violates its own schema', async () => {
    const edge = new ScriptedEdge();
    const { link } = await openLink(edge);

    const request = requestChat(link, '');

    await expect(request).rejects.toMatchObject({ code: 'malformed_message' });
    expect(edge.received).toEqual([]);
  });

  test('fails at once with `timed_out` when the connection drops', async () => {
    const edge = unresponsiveEdge();
    const { link } = await openLink(edge);

    const outcome = expect(requestChat(link)).rejects.toMatchObject({ code: 'timed_out' });
    edge.socket.drop();

    await outcome;
  });

  test('is not sent on a closed link', async () => {
    const edge = new ScriptedEdge();
    const { link } = await openLink(edge);
    link.close();

    const request = requestChat(link);

    await expect(request).rejects.toMatchObject({ code: 'timed_out' });
    expect(edge.received).toEqual([]);
  });
});

describe('an edge that owes a reply', () => {
  test('[SE16] [SE19] is not probed within 1.5 seconds of the oldest request', async () => {
    const edge = unresponsiveEdge();
    const { link } = await openLink(edge);
    sendRequest(link);
    await vi.advanceTimersByTimeAsync(1_000);
    sendRequest(link);

    await vi.advanceTimersByTimeAsync(499);

    expect(probesOf(edge)).toBe(0);
  });

  test('[SE16] [SE19] is probed once after 1.5 seconds without any message', async () => {
    const edge = unresponsiveEdge();
    const { link } = await openLink(edge);
    sendRequest(link);
    await vi.advanceTimersByTimeAsync(1_000);
    sendRequest(link);

    await vi.advanceTimersByTimeAsync(500);

    expect(probesOf(edge)).toBe(1);
  });

  test('[SE16] [SE19] is not reported silent within 1.5 seconds of the probe', async () => {
    const edge = unresponsiveEdge();
    const { link, silent } = await openLink(edge);
    sendRequest(link);

    await vi.advanceTimersByTimeAsync(2_999);

    expect(silent).not.toHaveBeenCalled();
  });

  test('[SE16] [SE19] is reported silent once, after a single probe, when nothing arrives for 3 seconds', async () => {
    const edge = unresponsiveEdge();
    const { link, silent } = await openLink(edge);
    sendRequest(link);

    await vi.advanceTimersByTimeAsync(3_001);

    expect(silent).toHaveBeenCalledExactlyOnceWith('edge.check');
    expect(probesOf(edge)).toBe(1);
  });

  test('[SE19] is not probed while notices arrive', async () => {
    const edge = unresponsiveEdge();
    const { link } = await openLink(edge);
    sendRequest(link);

    await sendHeads(edge, 8, 1_000);

    expect(probesOf(edge)).toBe(0);
  });

  test('[SE19] is probed 1.5 seconds after the last notice', async () => {
    const edge = unresponsiveEdge();
    const { link } = await openLink(edge);
    sendRequest(link);
    await sendHeads(edge, 8, 1_000);

    await vi.advanceTimersByTimeAsync(1_500);

    expect(probesOf(edge)).toBe(1);
  });

  test('[SE19] is not reported silent when a notice arrives instead of the probe’s reply', async () => {
    const edge = unresponsiveEdge();
    const { link, silent } = await openLink(edge);
    sendRequest(link);
    await sendHeads(edge, 8, 1_000);
    await vi.advanceTimersByTimeAsync(1_500);

    edge.notify('head', { lastEventId: LAST_EVENT_ID });
    await vi.advanceTimersByTimeAsync(400);

    expect(silent).not.toHaveBeenCalled();
  });

  test('[SE19] is neither probed nor reported silent while a slow `resume` is its only request', async () => {
    const edge = unresponsiveEdge();
    const { link, silent } = await openLink(edge);
    const resume = {
      protocolVersion: 1,
      roomId: 'room',
      sessionToken: 'token',
      proof: 'A'.repeat(86),
      lastEventId: '100-0',
    };
    link.request('resume', resume).catch(() => undefined);

    await vi.advanceTimersByTimeAsync(9_000);

    expect([probesOf(edge), silent.mock.calls]).toEqual([0, []]);
  });

  test('[SE16] is not reported silent after the link was closed', async () => {
    const { link, silent } = await openLink(unresponsiveEdge());
    sendRequest(link);

    link.close();
    await vi.advanceTimersByTimeAsync(20_000);

    expect(silent).not.toHaveBeenCalled();
  });
});

describe.each([
  { answer: 'a reply', answerProbe: () => ({}) },
  { answer: 'a refusal, as from an older edge', answerProbe: () => refuse('unknown_message') },
])('an edge that owes a reply and answers probes with $answer', ({ answerProbe }) => {
  function respondingEdge(): ScriptedEdge {
    const edge = unresponsiveEdge();
    edge.on['edge.check'] = answerProbe;
    return edge;
  }

  test('[SE55] is probed repeatedly and not reported silent', async () => {
    const edge = respondingEdge();
    const { link, silent } = await openLink(edge);
    sendRequest(link);

    await vi.advanceTimersByTimeAsync(9_000);

    expect(silent).not.toHaveBeenCalled();
    expect(probesOf(edge)).toBeGreaterThan(3);
  });

  test('[SE55] is not probed any more once the request has timed out', async () => {
    const edge = respondingEdge();
    const { link } = await openLink(edge);
    sendRequest(link);
    await vi.advanceTimersByTimeAsync(11_000);
    const probesBefore = probesOf(edge);

    await vi.advanceTimersByTimeAsync(20_000);

    expect(probesOf(edge)).toBe(probesBefore);
  });

  test('[SE55] is reported silent at a later request if it has stopped answering probes', async () => {
    const edge = respondingEdge();
    const { link, silent } = await openLink(edge);
    sendRequest(link);
    await vi.advanceTimersByTimeAsync(31_000);
    edge.on['edge.check'] = () => NO_ANSWER;

    sendRequest(link);
    await vi.advanceTimersByTimeAsync(3_001);

    expect(silent).toHaveBeenCalledOnce();
  });
});

describe('an edge that owes no reply', () => {
  test('[SE20] is not probed before its first `head` notice', async () => {
    const edge = unresponsiveEdge();
    await openLink(edge);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(probesOf(edge)).toBe(0);
  });

  test('[SE20] is not probed while `head` notices arrive', async () => {
    const edge = unresponsiveEdge();
    await openLink(edge);

    await sendHeads(edge, 20, 2_000);

    expect(probesOf(edge)).toBe(0);
  });

  test('[SE20] is reported silent when its `head` notices stop and it does not answer the probe', async () => {
    const edge = unresponsiveEdge();
    const { silent } = await openLink(edge);
    await sendHeads(edge, 20, 2_000);

    await vi.advanceTimersByTimeAsync(4_100);

    expect(silent).toHaveBeenCalledExactlyOnceWith('edge.check');
  });

  test('[SE55] is probed rarely and not reported silent while it answers, when its notices stop because the store is down', async () => {
    const edge = edgeThatAnswersProbes();
    const { silent } = await openLink(edge);
    edge.notify('head', { lastEventId: LAST_EVENT_ID });

    await vi.advanceTimersByTimeAsync(60_000);

    expect(silent).not.toHaveBeenCalled();
    expect(probesOf(edge)).toBeLessThan(18);
  });

  test('[SE55] is reported silent 3 seconds after a request, also if its notices had stopped before', async () => {
    const edge = edgeThatAnswersProbes();
    const { link, silent } = await openLink(edge);
    edge.notify('head', { lastEventId: LAST_EVENT_ID });
    await vi.advanceTimersByTimeAsync(60_000);
    edge.on['edge.check'] = () => NO_ANSWER;

    sendRequest(link);
    await vi.advanceTimersByTimeAsync(3_001);

    expect(silent).toHaveBeenCalledOnce();
  });
});

describe('an edge that is silent while no media arrives', () => {
  test.each([
    { passedMs: 1_999, reports: [] },
    { passedMs: 2_000, reports: [['transport.restartIce']] },
  ])(
    '[SE47] is reported after 2 seconds without an answer to an ICE restart ($passedMs ms)',
    async ({ passedMs, reports }) => {
      const { link, silent } = await openLink(unresponsiveEdge());
      const transportId = TRANSPORT_ID.parse('transport');
      link.request('transport.restartIce', { transportId }).catch(() => undefined);

      await vi.advanceTimersByTimeAsync(passedMs);

      expect(silent.mock.calls).toEqual(reports);
    },
  );

  test.each([
    { passedMs: 999, reports: [] },
    { passedMs: 1_000, reports: [['media.check']] },
  ])(
    '[SE48] is reported after 1 second without an answer to a media check ($passedMs ms)',
    async ({ passedMs, reports }) => {
      const { link, silent } = await openLink(unresponsiveEdge());
      link.request('media.check', {}).catch(() => undefined);

      await vi.advanceTimersByTimeAsync(passedMs);

      expect(silent.mock.calls).toEqual(reports);
    },
  );
});
