import { describe, expect, it } from 'vitest';
import { describeHop, hopFigures } from './hop.ts';
import { describeLinks } from './links.ts';
import { describePipeCpu, pipeCpuFigures } from './pipe-cpu.ts';
import { isReached } from './section.ts';
import { spreadOf } from './spread.ts';

describe('spreadOf', () => {
  it('gives measured figures', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(spreadOf(values)).toEqual({ count: 200, p50: 100, p95: 190, p99: 198, worst: 200 });
    expect(spreadOf([])).toBeNull();
  });
});

describe('the figures of a pipe hop', () => {
  it('compare the same packet, and leave out those that did not reach both viewers', () => {
    const figures = hopFigures(
      new Map([
        [1, 10],
        [2, 20],
        [3, 30],
      ]),
      new Map([
        [1, 11],
        [2, 25],
      ]),
      new Map([
        [1, 14],
        [2, 26],
        [3, 31],
        [4, 1],
      ]),
    );
    expect(figures.oneNode).toMatchObject({ count: 2, worst: 5 });
    expect(figures.twoNodes).toMatchObject({ count: 2, worst: 6 });
    expect(figures.added).toMatchObject({ count: 2, p50: 1, worst: 3 });
    expect(describeHop(figures).aims.map(isReached)).toEqual([false]);
    expect(describeHop(hopFigures(new Map(), new Map(), new Map())).aims.map(isReached)).toEqual([false]);
  });
});

describe('the figures of CPU for each piped Mbit', () => {
  const nobody = { seconds: 2, megabits: 0, homeCpuMs: 20, otherCpuMs: 2 };

  it('subtract what a worker does anyway, and the viewer on the receiving node', () => {
    const { msPerMbit } = pipeCpuFigures({
      nobody,
      onHome: { seconds: 1, megabits: 10, homeCpuMs: 30, otherCpuMs: 1 },
      onOther: { seconds: 2, megabits: 20, homeCpuMs: 80, otherCpuMs: 72 },
    });
    expect(msPerMbit).toEqual({ sending: 3, viewer: 2, receiving: 1.5 });
  });

  it('are missing when no media arrived', () => {
    const figures = pipeCpuFigures({ nobody, onHome: nobody, onOther: nobody });
    expect(figures.msPerMbit).toEqual({ sending: null, viewer: null, receiving: null });
    expect(describePipeCpu(figures).table.rows.map(([, ms]) => ms)).toEqual(['–', '–', '–']);
  });
});

describe('the figures between datacenters', () => {
  const quiet = { pauses: spreadOf([900]), unsubscribes: spreadOf([2_100]), leaves: spreadOf([1]) };
  const firstMedia = { audio: null, video: spreadOf([150, 150, 401]) };

  it('compare the slowest end and the percentiles of video with the goals', () => {
    const { aims } = describeLinks({ oneWayMs: 10, firstMedia, quiet });
    expect(aims.map(({ measured }) => measured)).toEqual([150, 401, 2_100]);
    expect(aims.map(isReached)).toEqual([true, false, false]);
  });

  it('miss every goal when nothing was measured', () => {
    const none = {
      oneWayMs: 10,
      firstMedia: { ...firstMedia, video: null },
      quiet: { ...quiet, leaves: null },
    };
    expect(describeLinks(none).aims.map(isReached)).toEqual([false, false, false]);
  });
});
