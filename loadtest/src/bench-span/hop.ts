import { waitFor } from '@plenary/cluster/testing/wait-for';
import { readRtpTimestamp } from '../bots/rtp-packet.ts';
import { figure } from '../table.ts';
import { spreadOf } from './spread.ts';
import type { Spread } from './spread.ts';
import type { SpanOptions } from './options.ts';
import type { SpanResult, SpanSection } from './section.ts';
import { CAMERA, startTwoNodes } from './two-nodes.ts';

const AIM_P99_MS = 2;
/** Packets that everybody gets before those that count. */
const WARM_UP_PACKETS = 200;

export interface HopFigures {
  /** From the moment when a packet is handed to the publisher's transport to that when a viewer's hands it out. */
  readonly oneNode: Spread | null;
  readonly twoNodes: Spread | null;
  /** The difference of the two for one and the same packet. */
  readonly added: Spread | null;
}

/** Compares, packet by packet, when it reaches a viewer on the publisher's node and one behind a pipe. */
export async function measureHop(packets: number): Promise<HopFigures> {
  const nodes = await startTwoNodes();
  try {
    const { crowd, home, other } = nodes;
    const sent = new Map<number, number>();
    const near = new Map<number, number>();
    const far = new Map<number, number>();
    const watch = (arrived: Map<number, number>) => ({
      onPacket: (_trackId: string, packet: Buffer) => {
        const timestamp = readRtpTimestamp(packet);
        // What is sent again counts from its first arrival.
        if (!arrived.has(timestamp)) arrived.set(timestamp, performance.now());
      },
    });
    const publisher = await crowd.join('hop', [home], { canPublish: true });
    await crowd.join('hop', [home], watch(near));
    await crowd.join('hop', [other], watch(far));
    await publisher.publish('video', {
      ...CAMERA,
      onSend: (packet) => sent.set(readRtpTimestamp(packet), performance.now()),
    });
    await waitFor('media on both nodes', () => Math.min(near.size, far.size) >= WARM_UP_PACKETS);
    for (const times of [sent, near, far]) times.clear();
    // Of those that were on their way when the counting began nobody knows when they were sent.
    await waitFor('the packets that count', () => reachedBoth(sent, near, far).length >= packets);
    return hopFigures(sent, near, far);
  } finally {
    await nodes.stop();
  }
}

/** What was sent and reached both. */
export function hopFigures(
  sent: ReadonlyMap<number, number>,
  near: ReadonlyMap<number, number>,
  far: ReadonlyMap<number, number>,
): HopFigures {
  const both = reachedBoth(sent, near, far);
  return {
    oneNode: spreadOf(both.map(({ sentMs, nearMs }) => nearMs - sentMs)),
    twoNodes: spreadOf(both.map(({ sentMs, farMs }) => farMs - sentMs)),
    added: spreadOf(both.map(({ nearMs, farMs }) => farMs - nearMs)),
  };
}

interface Passage {
  readonly sentMs: number;
  readonly nearMs: number;
  readonly farMs: number;
}

function reachedBoth(
  sent: ReadonlyMap<number, number>,
  near: ReadonlyMap<number, number>,
  far: ReadonlyMap<number, number>,
): readonly Passage[] {
  return [...sent].flatMap(([timestamp, sentMs]) => {
    const [nearMs, farMs] = [near.get(timestamp), far.get(timestamp)];
    return nearMs === undefined || farMs === undefined ? [] : [{ sentMs, nearMs, farMs }];
  });
}

export function describeHop(figures: HopFigures): SpanResult {
  const row = (name: string, spread: Spread | null): string[] => [
    name,
    ...[spread?.p50, spread?.p95, spread?.p99, spread?.worst].map(figure),
    String(spread?.count ?? 0),
  ];
  return {
    title: 'Latency of one pipe hop, on loopback',
    notes: [
      'A camera of 1.8 Mbit/s, a viewer on its node, a viewer on another node; the pipe is encrypted.',
      'From handing a packet to the publisher’s transport until a viewer’s hands it out, both in one process.',
    ],
    table: {
      header: ['way', 'p50 ms', 'p95 ms', 'p99 ms', 'worst ms', 'packets'],
      rows: [
        row('one node', figures.oneNode),
        row('two nodes, one pipe', figures.twoNodes),
        row('added by the pipe, packet by packet', figures.added),
      ],
    },
    aims: [
      {
        what: 'p99 of what a pipe hop adds',
        unit: 'ms',
        aim: AIM_P99_MS,
        better: 'less',
        measured: figures.added?.p99 ?? null,
      },
    ],
    figures,
  };
}

/** What a pipe adds to the latency of a packet. */
export const hopSection: SpanSection = {
  name: 'hop',
  async run({ seconds }: SpanOptions, progress): Promise<SpanResult> {
    progress('latency of a pipe hop');
    return describeHop(await measureHop(Math.round((seconds * 1_000) / CAMERA.intervalMs)));
  },
};
