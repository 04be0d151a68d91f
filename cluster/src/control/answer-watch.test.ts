import { describe, expect, it } from 'vitest';
import { PlenaryError } from '../errors.ts';
import { peer, room } from '../testing/samples.ts';
import { waitFor } from '../testing/wait-for.ts';
import { AnswerWatch } from './answer-watch.ts';

const ABOUT = { roomId: room('room'), peerId: peer('ann'), epoch: 1 };

function watching() {
  const state = { connection: 1, mute: 0, asked: 0, fails: undefined as PlenaryError | undefined };
  const watch = new AnswerWatch({
    ask: () => {
      state.asked += 1;
      return state.fails === undefined ? Promise.resolve({}) : Promise.reject(state.fails);
    },
    connection: () => state.connection,
    onMute: () => (state.mute += 1),
  });
  return { state, watch };
}

describe('the watch for mute media nodes', () => {
  it.each([undefined, new PlenaryError('media_lost')])(
    '[HL10] a node that answers a question, even with an error, is not mute (%s)',
    async (fails) => {
      const { state, watch } = watching();
      state.fails = fails;
      watch.doubt(ABOUT);
      await waitFor('the question', () => state.asked === 1);
      expect([watch.isMute, state.mute]).toEqual([false, 0]);
    },
  );

  it('[HL10] a node that lets a question time out too is mute until it answers', async () => {
    const { state, watch } = watching();
    state.fails = new PlenaryError('timed_out');
    watch.doubt(ABOUT);
    watch.doubt(ABOUT);
    await waitFor('it to be told', () => state.mute === 1);
    expect([watch.isMute, state.asked]).toEqual([true, 2]);
    const answered = watch.untilAnswered();
    await waitFor('it to be asked again', () => state.asked > 2);
    state.fails = undefined;
    expect([await answered, watch.isMute]).toEqual([true, false]);
  });

  it('[HL39] an edge that was stopped itself receives the answer to its second question', async () => {
    const { state, watch } = watching();
    state.fails = new PlenaryError('timed_out');
    watch.doubt(ABOUT);
    // The first question is unanswered by now, and fails in this turn.
    state.fails = undefined;
    await waitFor('the second question', () => state.asked === 2);
    expect([watch.isMute, state.mute]).toEqual([false, 0]);
  });

  it('[HL10] a connection that ends says nothing about the node, and ends the wait for an answer', async () => {
    const { state, watch } = watching();
    state.fails = new PlenaryError('timed_out');
    watch.doubt(ABOUT);
    state.connection = 2;
    await waitFor('the question', () => state.asked === 1);
    expect(watch.isMute).toBe(false);
    await waitFor('it to be told', () => {
      watch.doubt(ABOUT);
      return state.mute === 1;
    });
    const answered = watch.untilAnswered();
    state.connection = 3;
    expect([await answered, watch.isMute]).toEqual([false, true]);
  });
});
