import { MEDIA_NODE_ID, PlenaryError, TRACK_ID } from '@plenary/cluster';
import { describe, expect, test, vi } from 'vitest';
import { ManualTimers } from '../testing/manual-timers.ts';
import { opusParameters } from '../testing/rtp.ts';
import { PAUSE_DELAY_MS, PulledTrack } from './pulled-track.ts';

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
    setPaused: vi.fn((_trackId: string, _paused: boolean) => Promise.resolve()),
    release: vi.fn(() => Promise.resolve()),
  };
  const copy = { paused: false, setPaused: vi.fn((_paused: boolean) => Promise.resolve()), close: vi.fn() };
  const onClosed = vi.fn();
  const onFault = vi.fn();
  const make = (): PulledTrack =>
    new PulledTrack(
      { trackId: TRACK, homeNodeId: HOME },
      {
        home,
        produce: () => Promise.resolve(copy),
        timers,
        lingerMs: LINGER_MS,
        onFault,
        onClosed,
      },
    );
  return { timers, home, copy, onClosed, onFault, make };
}

describe('a pulled track', () => {
  test('[PI3] is released once, a linger after the last hold, and kept when held again meanwhile', async () => {
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

  test('[PI3] is paused at home only when nobody watches for a while, and resumed at once', async () => {
    const { timers, home, make } = pulled();
    const track = make();
    const [one, two] = [track.hold(), track.hold()];
    await track.ready;
    one.setWatching(false);
    timers.advance(PAUSE_DELAY_MS * 3);
    two.setWatching(false);
    timers.advance(PAUSE_DELAY_MS - 1);
    two.setWatching(true);
    timers.advance(PAUSE_DELAY_MS);
    await settle();
    expect(home.setPaused).not.toHaveBeenCalled();
    two.setWatching(false);
    timers.advance(PAUSE_DELAY_MS);
    await settle();
    expect(home.setPaused.mock.calls).toEqual([[TRACK, true]]);
    one.setWatching(true);
    await settle();
    expect(home.setPaused.mock.calls).toEqual([
      [TRACK, true],
      [TRACK, false],
    ]);
  });

  test('[PI3] asks the home one thing at a time, and ends with what is wanted', async () => {
    const { timers, home, make } = pulled();
    const track = make();
    const hold = track.hold();
    await track.ready;
    let answer: () => void = () => undefined;
    home.setPaused.mockImplementationOnce(
      () =>
        new Promise<void>((resolve) => {
          answer = resolve;
        }),
    );
    hold.setWatching(false);
    timers.advance(PAUSE_DELAY_MS);
    await settle();
    hold.setWatching(true);
    await settle();
    expect(home.setPaused).toHaveBeenCalledTimes(1);
    answer();
    await settle();
    expect(home.setPaused.mock.calls.at(-1)).toEqual([TRACK, false]);
  });

  test('[PI5] a pause that failed is said again', async () => {
    const { timers, home, onFault, make } = pulled();
    const track = make();
    const hold = track.hold();
    await track.ready;
    home.setPaused.mockRejectedValueOnce(new PlenaryError('timed_out'));
    hold.setWatching(false);
    timers.advance(PAUSE_DELAY_MS);
    await settle();
    expect(onFault).toHaveBeenCalledOnce();
    timers.advance(PAUSE_DELAY_MS);
    await settle();
    expect(home.setPaused).toHaveBeenCalledTimes(2);
  });

  test('[PI5] a pull that failed is told to every holder, released at home, and rejects nowhere else', async () => {
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

  test('[PI4] follows its publisher, also when the word comes before the copy is made', async () => {
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
