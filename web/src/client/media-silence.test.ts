import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  ASK_AFTER_MS,
  ASK_AGAIN_AFTER_MS,
  MediaSilence,
  PATH_LOST_AFTER_MS,
  SEEK_FOR_MS,
} from './media-silence.ts';

const CHECK_MS = 100;
const PACKET_EVERY_MS = 20;

describe('MediaSilence', () => {
  const flows = new Map<string, { stamp: () => number | undefined }>();
  const moving = new Set<string>();
  const calls: string[] = [];
  const flow: string[] = [];
  let iceAnswers: number | undefined;
  /** The media node's answers in sequence: the bytes that it has sent, or `undefined` for no answer. The last one is repeated. */
  let sent: (number | undefined)[];
  let silence: MediaSilence;

  beforeEach(() => {
    vi.useFakeTimers();
    flows.clear();
    moving.clear();
    calls.length = 0;
    flow.length = 0;
    iceAnswers = 5;
    sent = [undefined];
    silence = new MediaSilence({
      flows: () => flows,
      ask: () => {
        calls.push('silent');
        const sentByNode = sent.length > 1 ? sent.shift() : sent[0];
        if (sentByNode === undefined) return Promise.resolve(undefined);
        return Promise.resolve({ sentByNode, receivedByNode: undefined, sentByClient: undefined });
      },
      iceAnswers: () => Promise.resolve(iceAnswers),
      pathLost: () => calls.push('path lost'),
      nodeLost: () => calls.push('node lost'),
      flowChanged: () => flow.push(silence.flow),
    });
    silence.start();
  });
  afterEach(() => {
    silence.stop();
    vi.useRealTimers();
  });

  function add(id: string): void {
    let stamp = 0;
    moving.add(id);
    setInterval(() => {
      if (moving.has(id)) stamp += 1;
    }, PACKET_EVERY_MS);
    flows.set(id, { stamp: () => stamp || undefined });
  }

  test('[SE17] [SE52] [SE56] checks once when no packet arrives any more, and again only after packets have arrived', async () => {
    add('a');
    add('b');
    await vi.advanceTimersByTimeAsync(5_000);
    moving.delete('a');
    await vi.advanceTimersByTimeAsync(5_000);

    expect(calls).toEqual([]);

    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS - CHECK_MS);

    expect([calls, silence.isSilent]).toEqual([[], false]);

    await vi.advanceTimersByTimeAsync(2 * CHECK_MS);

    expect([calls, silence.isSilent]).toEqual([['silent'], true]);

    await vi.advanceTimersByTimeAsync(PATH_LOST_AFTER_MS - ASK_AFTER_MS + CHECK_MS);

    expect(calls).toEqual(['silent', 'path lost']);

    await vi.advanceTimersByTimeAsync(SEEK_FOR_MS);

    expect(calls).toEqual(['silent', 'path lost', 'node lost']);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toHaveLength(3);

    moving.add('b');
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(silence.isSilent).toBe(false);

    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + CHECK_MS);

    expect(calls).toHaveLength(4);
  });

  test('[SE50] [SE51] [SE52] seeks another path at once if the path is broken', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    sent = [1_000, 1_500];
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + ASK_AGAIN_AFTER_MS + CHECK_MS);

    expect(calls).toEqual(['silent', 'silent', 'path lost']);

    await vi.advanceTimersByTimeAsync(SEEK_FOR_MS + CHECK_MS);

    expect(calls.slice(3)).toEqual(['node lost']);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toHaveLength(4);
  });

  test.each([
    ['where it sends nothing', [1_000, 1_000]],
    ['where it does not answer again', [1_000, undefined]],
  ])('[SE50] [SE56] waits for the result of the ICE check %s', async (_, answers) => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    sent = answers;
    await vi.advanceTimersByTimeAsync(PATH_LOST_AFTER_MS - CHECK_MS);

    expect(calls).toEqual(['silent', 'silent']);

    await vi.advanceTimersByTimeAsync(2 * CHECK_MS);

    expect(calls).toEqual(['silent', 'silent', 'path lost']);
  });

  test('[SE51] does not seek another path if packets arrived during the check, or ICE is answered', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    sent = [1_000, 1_500];
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + CHECK_MS);
    moving.add('a');
    await vi.advanceTimersByTimeAsync(1_000);

    expect(calls).toEqual(['silent']);

    moving.clear();
    sent = [1_000, 1_500];
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + CHECK_MS);
    iceAnswers = 6;
    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toEqual(['silent', 'silent', 'silent']);
  });

  test('[SE17] notices many flows that stop together as soon as a single one', async () => {
    for (let number = 1; number <= 50; number += 1) add(`flow ${number}`);
    await vi.advanceTimersByTimeAsync(5_000);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + 2 * CHECK_MS);

    expect(calls).toEqual(['silent']);
  });

  test('[SE51] only checks while ICE is answered, or the browser does not report ICE', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + CHECK_MS);
    iceAnswers = 6;
    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toEqual(['silent']);

    moving.add('a');
    await vi.advanceTimersByTimeAsync(CHECK_MS);
    moving.clear();
    iceAnswers = undefined;
    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toEqual(['silent', 'silent']);
  });

  test('[SE17] reports no silence before the first packet, nor while all tracks are muted', async () => {
    add('a');
    moving.clear();
    await vi.advanceTimersByTimeAsync(60_000);
    moving.add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    flows.clear();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(calls).toEqual([]);
  });

  test('[SE17] does not report silence after the page itself was suspended', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    const { now } = performance;
    const asleepMs = 60_000;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + asleepMs);
    await vi.advanceTimersByTimeAsync(CHECK_MS);

    expect(calls).toEqual([]);

    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS);

    expect(calls).toEqual(['silent']);

    vi.restoreAllMocks();
  });

  test('[WB7] reports whether packets arrive, do not arrive, the path is lost, or nothing is sent', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);

    expect(flow).toEqual(['arriving']);

    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + CHECK_MS);

    expect(flow).toEqual(['arriving', 'silent']);

    await vi.advanceTimersByTimeAsync(PATH_LOST_AFTER_MS);

    expect(flow).toEqual(['arriving', 'silent', 'lost']);

    moving.add('a');
    await vi.advanceTimersByTimeAsync(2 * CHECK_MS);
    flows.clear();
    await vi.advanceTimersByTimeAsync(CHECK_MS);
    silence.stop();

    expect(flow).toEqual(['arriving', 'silent', 'lost', 'arriving', 'unknown']);
  });
});
