import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  ASK_AFTER_MS,
  ASK_AGAIN_AFTER_MS,
  MediaSilence,
  PATH_LOST_AFTER_MS,
  SEEK_FOR_MS,
} from './media-silence.ts';

const LOOK_MS = 100;
const PACKET_EVERY_MS = 20;

describe('MediaSilence', () => {
  const flows = new Map<string, { stamp: () => number | undefined }>();
  const moving = new Set<string>();
  const told: string[] = [];
  const flow: string[] = [];
  let iceAnswers: number | undefined;
  /** What the media node has sent, one answer after the other; the last one is given again. `undefined`: no answer. */
  let sent: (number | undefined)[];
  let silence: MediaSilence;

  beforeEach(() => {
    vi.useFakeTimers();
    flows.clear();
    moving.clear();
    told.length = 0;
    flow.length = 0;
    iceAnswers = 5;
    sent = [undefined];
    silence = new MediaSilence({
      flows: () => flows,
      ask: () => {
        told.push('silent');
        const sentByNode = sent.length > 1 ? sent.shift() : sent[0];
        if (sentByNode === undefined) return Promise.resolve(undefined);
        return Promise.resolve({ sentByNode, receivedByNode: undefined, sentByClient: undefined });
      },
      iceAnswers: () => Promise.resolve(iceAnswers),
      pathLost: () => told.push('path lost'),
      nodeLost: () => told.push('node lost'),
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

  test('[SE17] [SE52] [SE56] asks once when nothing comes any more, and anew once something came', async () => {
    add('a');
    add('b');
    await vi.advanceTimersByTimeAsync(5_000);
    moving.delete('a');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(told).toEqual([]);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS - LOOK_MS);
    expect([told, silence.isSilent]).toEqual([[], false]);
    await vi.advanceTimersByTimeAsync(2 * LOOK_MS);
    expect([told, silence.isSilent]).toEqual([['silent'], true]);
    await vi.advanceTimersByTimeAsync(PATH_LOST_AFTER_MS - ASK_AFTER_MS + LOOK_MS);
    expect(told).toEqual(['silent', 'path lost']);
    await vi.advanceTimersByTimeAsync(SEEK_FOR_MS);
    expect(told).toEqual(['silent', 'path lost', 'node lost']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(3);
    moving.add('b');
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(silence.isSilent).toBe(false);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + LOOK_MS);
    expect(told).toHaveLength(4);
  });

  test('[SE50] [SE51] [SE52] seeks another path at once where the path is broken', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    sent = [1_000, 1_500];
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + ASK_AGAIN_AFTER_MS + LOOK_MS);
    expect(told).toEqual(['silent', 'silent', 'path lost']);
    await vi.advanceTimersByTimeAsync(SEEK_FOR_MS + LOOK_MS);
    expect(told.slice(3)).toEqual(['node lost']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(4);
  });

  test.each([
    ['where it sends nothing', [1_000, 1_000]],
    ['where it does not answer again', [1_000, undefined]],
  ])('[SE50] [SE56] waits for what ICE says %s', async (_, answers) => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    sent = answers;
    await vi.advanceTimersByTimeAsync(PATH_LOST_AFTER_MS - LOOK_MS);
    expect(told).toEqual(['silent', 'silent']);
    await vi.advanceTimersByTimeAsync(2 * LOOK_MS);
    expect(told).toEqual(['silent', 'silent', 'path lost']);
  });

  test('[SE51] does not seek another path where something came while it asked, or ICE is answered', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    sent = [1_000, 1_500];
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + LOOK_MS);
    moving.add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told).toEqual(['silent']);
    moving.clear();
    sent = [1_000, 1_500];
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + LOOK_MS);
    iceAnswers = 6;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual(['silent', 'silent', 'silent']);
  });

  test('[SE17] is as soon to notice among many flows that stop together', async () => {
    for (let number = 1; number <= 50; number += 1) add(`flow ${number}`);
    await vi.advanceTimersByTimeAsync(5_000);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + 2 * LOOK_MS);
    expect(told).toEqual(['silent']);
  });

  test('[SE51] only asks while ICE is answered, or where the browser does not tell', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + LOOK_MS);
    iceAnswers = 6;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual(['silent']);
    moving.add('a');
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    moving.clear();
    iceAnswers = undefined;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual(['silent', 'silent']);
  });

  test('[SE17] says nothing before anything came, nor when all that could flow is muted', async () => {
    add('a');
    moving.clear();
    await vi.advanceTimersByTimeAsync(60_000);
    moving.add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    flows.clear();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual([]);
  });

  test('[SE17] does not take the page’s own standstill for silence', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    moving.clear();
    const { now } = performance;
    const asleepMs = 60_000;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + asleepMs);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS);
    expect(told).toEqual(['silent']);
    vi.restoreAllMocks();
  });

  test('[WB7] says what is known: it arrives, it does not, the path is lost, or nothing is sent', async () => {
    add('a');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(flow).toEqual(['arriving']);
    moving.clear();
    await vi.advanceTimersByTimeAsync(ASK_AFTER_MS + LOOK_MS);
    expect(flow).toEqual(['arriving', 'silent']);
    await vi.advanceTimersByTimeAsync(PATH_LOST_AFTER_MS);
    expect(flow).toEqual(['arriving', 'silent', 'lost']);
    moving.add('a');
    await vi.advanceTimersByTimeAsync(2 * LOOK_MS);
    flows.clear();
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    silence.stop();
    expect(flow).toEqual(['arriving', 'silent', 'lost', 'arriving', 'unknown']);
  });
});
