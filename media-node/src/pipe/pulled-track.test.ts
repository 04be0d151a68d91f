import { MEDIA_NODE_ID, PlenaryError, TOP_SPATIAL_LAYER, TRACK_ID } from '@plenary/cluster';
import type { WantedLayer } from '@plenary/cluster';
import { describe, expect, test, vi } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { opusParameters } from '../testing/rtp.ts';
import { LOWER_DELAY_MS } from '../room/track-demand.ts';
import { PulledTrack, RETRY_DEMAND_MS } from './pulled-track.ts';

const TRACK = TRACK_ID.parse('track');
const HOME = MEDIA_NODE_ID.parse('home');
const LINGER_MS = 5_000;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function pulled() {
  const timers = new ManualTimers();
  const home = {
    consume: vi.fn(() =>
      Promise.resolve({ kind: 'audio' as const, rtpParameters: opusParameters(), paused: false }),
    ),
    setWanted: vi.fn((_trackId: string, _wanted: WantedLayer) => Promise.resolve()),
    release: vi.fn(() => Promise.resolve()),
  };
  const copy = { paused: false, setPaused: vi.fn((_paused: boolean) => Promise.resolve()), close: vi.fn() };
  const onClosed = vi.fn();
  const onFault = vi.fn();
  const make = (isRelayed = false): PulledTrack =>
    new PulledTrack(
      { trackId: TRACK, homeNodeId: HOME },
      {
        home,
        producerId: 'copy',
        produce: () => Promise.resolve(copy),
        isRelayed,
        timers,
        lingerMs: LINGER_MS,
        onFault,
        onClosed,
      },
    );
  return { timers, home, copy, onClosed, onFault, make };
}

describe('a pulled track', () => {
  test.each([
    ['pipe_closed', true, true],
    ['pipe_closed', false, false],
    ['ended', true, false],
  ] as const)(
    '[GW11] that goes with %s, relayed: %s, leaves another way to it: %s',
    async (cause, isRelayed, expected) => {
      const track = pulled().make(isRelayed);
      await track.ready;
      const hold = track.hold();
      expect(hold.isPathLost()).toBe(false);
      track.close(cause);
      expect(hold.isPathLost()).toBe(expected);
    },
  );

  test('[PI17] is released once, a linger after the last hold, and kept when held again meanwhile', async () => {
    const { timers, home, copy, onClosed, make } = pulled();
    const track = make();
    const [one, two] = [track.hold(), track.hold()];
    await track.ready;
    one.release();
    one.release();
    timers.advance(LINGER_MS * 2);
    expect(onClosed).not.toHaveBeenCalled();
    two.release();
    timers.advance(LINGER_MS - 1);
    const three = track.hold();
    timers.advance(LINGER_MS);
    expect(onClosed).not.toHaveBeenCalled();
    three.release();
    timers.advance(LINGER_MS);
    expect(onClosed).toHaveBeenCalledOnce();
    expect(copy.close).toHaveBeenCalledOnce();
    expect(home.release).toHaveBeenCalledOnce();
    expect(home.consume).toHaveBeenCalledOnce();
    expect(timers.pendingCount).toBe(0);
  });

  test('[PI3] [PI16] is paused at home only after nobody has watched for a while, and resumed at once', async () => {
    const { timers, home, make } = pulled();
    const track = make();
    const [one, two] = [track.hold(), track.hold()];
    await track.ready;
    one.setWanted(null);
    timers.advance(LOWER_DELAY_MS * 3);
    two.setWanted(null);
    timers.advance(LOWER_DELAY_MS - 1);
    two.setWanted(TOP_SPATIAL_LAYER);
    timers.advance(LOWER_DELAY_MS);
    await settle();
    expect(home.setWanted).not.toHaveBeenCalled();
    two.setWanted(null);
    timers.advance(LOWER_DELAY_MS);
    await settle();
    expect(home.setWanted.mock.calls).toEqual([[TRACK, null]]);
    one.setWanted(TOP_SPATIAL_LAYER);
    await settle();
    expect(home.setWanted.mock.calls).toEqual([
      [TRACK, null],
      [TRACK, TOP_SPATIAL_LAYER],
    ]);
  });

  test('[PI10] sends the home one request at a time, and ends with the current demand', async () => {
    const { timers, home, make } = pulled();
    const track = make();
    const hold = track.hold();
    await track.ready;
    let answer: () => void = () => undefined;
    home.setWanted.mockImplementationOnce(
      () =>
        new Promise<void>((resolve) => {
          answer = resolve;
        }),
    );
    hold.setWanted(null);
    timers.advance(LOWER_DELAY_MS);
    await settle();
    hold.setWanted(TOP_SPATIAL_LAYER);
    await settle();
    expect(home.setWanted).toHaveBeenCalledTimes(1);
    answer();
    await settle();
    expect(home.setWanted.mock.calls.at(-1)).toEqual([TRACK, TOP_SPATIAL_LAYER]);
  });

  test('[PI18] repeats a pause that failed', async () => {
    const { timers, home, onFault, make } = pulled();
    const track = make();
    const hold = track.hold();
    await track.ready;
    home.setWanted.mockRejectedValueOnce(new PlenaryError('timed_out'));
    hold.setWanted(null);
    timers.advance(LOWER_DELAY_MS);
    await settle();
    expect(onFault).toHaveBeenCalledOnce();
    timers.advance(LOWER_DELAY_MS);
    await settle();
    expect(home.setWanted).toHaveBeenCalledTimes(2);
  });

  test('[PI19] a failed pull is reported to every holder, released at home, and rejects nowhere else', async () => {
    const { home, onFault, onClosed, make } = pulled();
    home.consume.mockRejectedValueOnce(new PlenaryError('timed_out'));
    const track = make();
    const hold = track.hold();
    await expect(track.ready).rejects.toMatchObject({ code: 'timed_out' });
    expect(home.release).toHaveBeenCalledOnce();
    expect(onClosed).toHaveBeenCalledOnce();
    expect(onFault).toHaveBeenCalledOnce();
    hold.release();
    expect(track.closed).toBe(true);
  });

  test('[PI4] follows its publisher, even if the notice comes before the copy exists', async () => {
    const { copy, onClosed, make } = pulled();
    const track = make();
    track.hold();
    track.producerChanged('paused');
    await track.ready;
    expect(copy.setPaused.mock.calls).toEqual([[true]]);
    track.producerChanged('resumed');
    expect(copy.setPaused.mock.calls.at(-1)).toEqual([false]);
    track.producerChanged('ended');
    expect(onClosed).toHaveBeenCalledOnce();
    expect(copy.close).toHaveBeenCalledOnce();
  });
});

describe('a pulled track that should take another path', () => {
  test('[GW6] notifies its holders, continues until all have released it, and ends without a linger', async () => {
    const { timers, copy, onClosed, make } = pulled();
    const track = make();
    const told: string[] = [];
    const [one, two] = ['one', 'two'].map((name) => track.hold('viewer', () => told.push(name)));
    await track.ready;
    track.supersede();
    expect(told).toEqual(['one', 'two']);
    one?.release();
    timers.advance(LINGER_MS * 2);
    expect(copy.close).not.toHaveBeenCalled();
    two?.release();
    expect(copy.close).toHaveBeenCalledOnce();
    expect(onClosed).toHaveBeenCalledOnce();
  });

  test('[GW6] ends at once when it has no holders, and lingers again after a new hold', async () => {
    const { timers, onClosed, make } = pulled();
    const track = make();
    const first = track.hold();
    await track.ready;
    track.supersede();
    const second = track.hold();
    first.release();
    second.release();
    timers.advance(LINGER_MS - 1);
    expect(onClosed).not.toHaveBeenCalled();
    track.supersede();
    expect(onClosed).toHaveBeenCalledOnce();
  });

  test('[PI17] does not linger after a pipe’s release, since the other end has waited already', async () => {
    const { timers, home, onClosed, make } = pulled();
    const track = make();
    const [viewer, pipe] = [track.hold('viewer'), track.hold('pipe')];
    await track.ready;
    viewer.release();
    timers.advance(LINGER_MS * 2);
    expect(onClosed).not.toHaveBeenCalled();
    pipe.release();
    expect(home.release).toHaveBeenCalledOnce();
  });

  test('[PI18] sends the demand again when the home did not confirm it', async () => {
    const { timers, home, make } = pulled();
    const track = make();
    const hold = track.hold();
    await track.ready;
    hold.setWanted(null);
    timers.advance(LOWER_DELAY_MS);
    await settle();
    const unanswered = Promise.withResolvers<void>();
    home.setWanted.mockReturnValueOnce(unanswered.promise);
    hold.setWanted(TOP_SPATIAL_LAYER);
    await settle();
    hold.setWanted(null);
    timers.advance(LOWER_DELAY_MS);
    unanswered.reject(new PlenaryError('timed_out'));
    await settle();
    timers.advance(RETRY_DEMAND_MS);
    await settle();
    expect(home.setWanted.mock.calls.map(([, wanted]) => wanted)).toEqual([null, TOP_SPATIAL_LAYER, null]);
  });
});
