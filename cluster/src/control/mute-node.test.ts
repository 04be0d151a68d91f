import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PlenaryError } from '../errors.ts';
import { peer, room } from '../testing/samples.ts';
import { AnswerWatch, QUESTION_TIMEOUT_MS } from './answer-watch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('[HL63] a media node that answers nothing counts as down 4 s after its first unanswered request', async () => {
  let mute = 0;
  const watch = new AnswerWatch({
    ask: () =>
      new Promise((_resolve, reject) =>
        setTimeout(() => reject(new PlenaryError('timed_out')), QUESTION_TIMEOUT_MS),
      ),
    connection: () => 1,
    onMute: () => (mute += 1),
  });
  watch.doubt({ roomId: room('standup'), peerId: peer('ann'), epoch: 1 });
  await vi.advanceTimersByTimeAsync(3_900);
  expect(mute).toBe(0);
  await vi.advanceTimersByTimeAsync(100);
  expect(mute).toBe(1);
});
