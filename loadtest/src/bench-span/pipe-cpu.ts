import { waitFor } from '@plenary/cluster/testing/wait-for';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bot } from '../bots/bot.ts';
import { childrenOf } from '@plenary/cluster/testing/process-tree';
import { threadsCpuMsOf } from '../bench-join/process-cpu.ts';
import type { RunningMediaNode } from '@plenary/deploy/local-cluster';
import { figure } from '../table.ts';
import type { SpanOptions } from './options.ts';
import type { SpanResult, SpanSection } from './section.ts';
import { CAMERA, startTwoNodes } from './two-nodes.ts';

const PUBLISHERS = 3;
const TRACKS_EACH = 5;

/** The work of the two nodes' workers in one window. */
export interface CpuWindow {
  readonly seconds: number;
  /** The RTP bytes that the viewer received, without the headers below it. */
  readonly megabits: number;
  readonly homeCpuMs: number;
  readonly otherCpuMs: number;
}

export interface PipeCpuFigures {
  readonly windows: {
    readonly nobody: CpuWindow;
    readonly onHome: CpuWindow;
    readonly onOther: CpuWindow;
  };
  /** A worker's CPU time beyond its idle work, in milliseconds for each Mbit; `null` if no media arrived. */
  readonly msPerMbit: {
    /** The home's worker, which sends into the pipe. */
    readonly sending: number | null;
    /** The other node's worker, which receives from the pipe, without the viewer. */
    readonly receiving: number | null;
    /** A worker that sends to one viewer over WebRTC, for comparison. */
    readonly viewer: number | null;
  };
}

/** Compares three windows: without a viewer; with a viewer on the publishers' node; with a viewer behind a pipe. */
export async function measurePipeCpu(windowMs: number): Promise<PipeCpuFigures> {
  const nodes = await startTwoNodes();
  try {
    const { crowd, home, other } = nodes;
    const viewers = {
      onHome: await crowd.join('cpu', [home], { subscribes: false }),
      onOther: await crowd.join('cpu', [other], { subscribes: false }),
    };
    const trackIds: Awaited<ReturnType<Bot['publish']>>[] = [];
    for (let index = 0; index < PUBLISHERS; index += 1) {
      const publisher = await crowd.join('cpu', [home], { canPublish: true, subscribes: false });
      for (let track = 0; track < TRACKS_EACH; track += 1)
        trackIds.push(await publisher.publish('video', CAMERA));
    }
    const look = () => ({
      atMs: performance.now(),
      homeCpuMs: workerCpuMs(home),
      otherCpuMs: workerCpuMs(other),
      bytes: bytesOf(viewers.onHome) + bytesOf(viewers.onOther),
    });
    const measure = async (isWatched: boolean): Promise<CpuWindow> => {
      const before = look();
      await delay(windowMs);
      // If this process stood still, nothing was sent; the window continues until it has a packet.
      if (isWatched) await waitFor('media in the window', () => look().bytes > before.bytes);
      const after = look();
      return {
        seconds: (after.atMs - before.atMs) / 1_000,
        megabits: ((after.bytes - before.bytes) * 8) / 1_000_000,
        homeCpuMs: after.homeCpuMs - before.homeCpuMs,
        otherCpuMs: after.otherCpuMs - before.otherCpuMs,
      };
    };
    const measureWatchedBy = async (viewer: Bot): Promise<CpuWindow> => {
      await viewer.subscribe(trackIds);
      await waitFor(
        'every track',
        () =>
          viewer.received.length === trackIds.length && viewer.received.every(({ packets }) => packets >= 50),
      );
      return measure(true);
    };
    const nobody = await measure(false);
    const onHome = await measureWatchedBy(viewers.onHome);
    await viewers.onHome.setPaused(trackIds, true);
    const onOther = await measureWatchedBy(viewers.onOther);
    return pipeCpuFigures({ nobody, onHome, onOther });
  } finally {
    await nodes.stop();
  }
}

export function pipeCpuFigures(windows: PipeCpuFigures['windows']): PipeCpuFigures {
  const { nobody, onHome, onOther } = windows;
  const perSecond = ({ seconds }: CpuWindow, cpuMs: number): number => cpuMs / seconds;
  const perMbit = (window: CpuWindow, of: 'homeCpuMs' | 'otherCpuMs'): number | null =>
    window.megabits === 0
      ? null
      : (perSecond(window, window[of]) - perSecond(nobody, nobody[of])) / (window.megabits / window.seconds);
  const viewer = perMbit(onHome, 'homeCpuMs');
  const received = perMbit(onOther, 'otherCpuMs');
  return {
    windows,
    msPerMbit: {
      sending: perMbit(onOther, 'homeCpuMs'),
      receiving: received === null || viewer === null ? null : received - viewer,
      viewer,
    },
  };
}

export function describePipeCpu(figures: PipeCpuFigures): SpanResult {
  const { windows, msPerMbit } = figures;
  const { megabits, seconds } = windows.onOther;
  const row = (name: string, ms: number | null): string[] => [
    name,
    figure(ms ?? undefined),
    // A core has 1,000 ms in each second.
    figure(ms === null || ms <= 0 ? undefined : 1_000 / ms),
  ];
  return {
    title: 'CPU of the workers for each piped Mbit',
    notes: [
      `${PUBLISHERS * TRACKS_EACH} cameras, ${figure(megabits / seconds)} Mbit/s of RTP in packets of ${CAMERA.payloadBytes} bytes; the pipe is encrypted.`,
      'What a worker does beyond the same cameras without a viewer. Receiving: without the viewer behind it.',
    ],
    table: {
      header: ['worker', 'CPU ms per Mbit', 'Mbit/s that fill a core'],
      rows: [
        row('home, into the pipe', msPerMbit.sending),
        row('other node, out of the pipe', msPerMbit.receiving),
        row('for comparison: to one viewer', msPerMbit.viewer),
      ],
    },
    aims: [],
    figures,
  };
}

function bytesOf(viewer: Bot): number {
  return viewer.received.reduce((sum, { bytes }) => sum + bytes, 0);
}

function workerCpuMs({ pid }: RunningMediaNode): number {
  if (pid === null) throw new Error('the media node does not run');
  return childrenOf(pid).reduce((sum, worker) => sum + threadsCpuMsOf(worker), 0);
}

/** The cost of piping for the workers at either end. */
export const pipeCpuSection: SpanSection = {
  name: 'pipe-cpu',
  async run({ seconds }: SpanOptions, progress): Promise<SpanResult> {
    progress('CPU for each piped Mbit');
    return describePipeCpu(await measurePipeCpu(seconds * 1_000));
  },
};
