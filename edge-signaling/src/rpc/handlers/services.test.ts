import { CONTROL_TIMEOUT_MS, EPOCH, PlenaryError } from '@plenary/cluster';
import type { ControlRequestName, Epoch } from '@plenary/cluster';
import { track } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { EdgeParts } from '../../testing/edge-parts.ts';
import { askMediaNode } from './services.ts';

/** A session whose media node's link is down, and comes back when the test says so. */
async function waiting() {
  const parts = new EdgeParts();
  const { clock, links } = parts;
  const link = links.add('node');
  const session = parts.hold(await parts.place('ann', 'node'));
  const { promise, resolve } = Promise.withResolvers<void>();
  link.isUp = false;
  link.back = promise;
  link.answer = () => ({ events: [] });
  const end = (isUp: boolean): void => {
    link.isUp = isUp;
    resolve();
  };
  const pause = async (name: string, timeoutMs?: number, epoch?: Epoch) =>
    askMediaNode(
      { links, clock },
      session,
      epoch,
      'track.pause',
      (placed) => ({ ...placed, trackId: track(name), paused: true }),
      timeoutMs,
    );
  return { parts, clock, session, link, end, pause };
}

const asked = (link: {
  readonly asked: readonly { readonly name: ControlRequestName; readonly payload: unknown }[];
}) => link.asked.map(({ payload }) => (payload as { readonly trackId: string }).trackId);

describe('a request for a media node whose link is being opened anew', () => {
  it('[CL14] [CL32] waits until it is, and those of one client keep their order', async () => {
    const { link, end, pause } = await waiting();
    const answers = [pause('one'), pause('two'), pause('three')];
    expect(link.asked).toEqual([]);
    end(true);
    // As another message of the client, which comes in a turn of its own.
    await new Promise((resolve) => setImmediate(resolve));
    answers.push(pause('four'));
    expect(await Promise.all(answers)).toEqual(Array(4).fill({ events: [] }));
    expect(asked(link)).toEqual(['one', 'two', 'three', 'four']);
  });

  it('[CL14] takes no longer than it might without, and one that cannot come back in time is refused', async () => {
    const { clock, link, end, pause } = await waiting();
    const answers = [pause('one'), pause('two', 500)];
    clock.advance(300);
    end(true);
    await Promise.all(answers);
    expect(link.waitsMs).toEqual([CONTROL_TIMEOUT_MS, 500]);
    expect(link.timeoutsMs).toEqual([CONTROL_TIMEOUT_MS - 300, 200]);
    const other = await waiting();
    const refused = expect(other.pause('one')).rejects.toMatchObject({ code: 'media_unavailable' });
    other.end(false);
    await refused;
    expect(other.link.asked).toEqual([]);
  });

  it('[CL14] is not sent where media was lost or replaced meanwhile', async () => {
    const lost = await waiting();
    const isLost = expect(lost.pause('one')).rejects.toMatchObject({ code: 'media_lost' });
    lost.session.noteMediaLost(lost.session.media.epoch);
    lost.end(true);
    await isLost;
    const replaced = await waiting();
    const { media } = replaced.session;
    const isStale = Promise.all(
      [undefined, media.epoch].map(async (epoch) =>
        expect(replaced.pause('one', undefined, epoch)).rejects.toMatchObject({ code: 'stale_epoch' }),
      ),
    );
    replaced.session.moveTo({ ...media, epoch: EPOCH.parse(media.epoch + 1) });
    replaced.end(true);
    await isStale;
    expect([lost.link.asked, replaced.link.asked]).toEqual([[], []]);
  });

  it('[CL33] is sent again where the link breaks before the answer comes, unless a later one was answered before', async () => {
    const { link, end, pause } = await waiting();
    const breaking = (): never => {
      link.isUp = false;
      throw new PlenaryError('timed_out');
    };
    link.isUp = true;
    link.answer = breaking;
    const first = pause('one');
    await expect.poll(() => link.isUp).toBe(false);
    link.answer = () => ({ events: [] });
    end(true);
    expect(await first).toEqual({ events: [] });
    expect(asked(link)).toEqual(['one', 'one']);

    // Several that the same link took along keep their order.
    const { promise: broken, reject: breakThem } = Promise.withResolvers<never>();
    const back = Promise.withResolvers<void>();
    link.answer = async () => broken;
    const both = [pause('four'), pause('five')];
    Object.assign(link, { isUp: false, back: back.promise, answer: () => ({ events: [] }) });
    breakThem(new PlenaryError('timed_out'));
    await new Promise((resolve) => setImmediate(resolve));
    link.isUp = true;
    back.resolve();
    await Promise.all(both);
    expect(asked(link).slice(2)).toEqual(['four', 'five', 'four', 'five']);
    link.asked.splice(2);

    const answers: (() => void)[] = [];
    link.answer = (_name, payload) =>
      (payload as { readonly trackId: string }).trackId === 'two'
        ? new Promise((_, reject) => {
            answers.push(() => reject(new PlenaryError('timed_out')));
          })
        : { events: [] };
    const [overtaken, later] = [pause('two'), pause('three')];
    expect(await later).toEqual({ events: [] });
    const unknown = expect(overtaken).rejects.toMatchObject({ code: 'timed_out' });
    link.isUp = false;
    for (const answer of answers) answer();
    await unknown;
    expect(asked(link)).toEqual(['one', 'one', 'two', 'three']);
  });

  it('[CL33] that is not answered in time is not sent again, whatever became of the link', async () => {
    const { clock, link, pause } = await waiting();
    link.isUp = true;
    link.answer = () => {
      clock.advance(CONTROL_TIMEOUT_MS);
      link.isUp = false;
      throw new PlenaryError('timed_out');
    };
    await expect(pause('one')).rejects.toMatchObject({ code: 'timed_out' });
    expect(asked(link)).toEqual(['one']);
  });
});
