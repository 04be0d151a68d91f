import { waitFor } from '@plenary/cluster/testing/wait-for';
import { readRtpTimestamp } from '../bots/rtp-packet.ts';
import { figure } from '../table.ts';
import { spreadOf } from './spread.ts';
import type { Spread } from './spread.ts';
import type { SpanOptions } from './options.ts';
import type { SpanResult, SpanSection } from './section.ts';
import { CAMERA, startTwoNodes } from './two-nodes.ts';

const AIM_P99_MS = 2;
/** How many packets everybody receives before the measurement. */
const WARM_UP_PACKETS = 200;

export interface HopFigures {
  /** The time from handing a packet to the publisher's transport until a viewer's transport hands it out. */
  readonly oneNode: Spread | null;
  readonly twoNodes: Spread | null;
  /** The difference of the two for one and the same packet. */
  readonly added: Spread | null;
}

/** Compares, packet by packet, its arrival at a viewer on the publisher's node and at one behind a pipe. */
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
        // A retransmitted packet counts from its first arrival.
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
    // Only packets sent from here on count: on a slow machine many earlier ones may be in flight.
    return await waitFor('the packets that count', () => {
      const figures = hopFigures(sent, near, far);
      return (figures.added?.count ?? 0) >= packets && figures;
    });
  } finally {
    await nodes.stop();
  }
}

/** The packets that reached both viewers. */
export function hopFigures(
  sent: ReadonlyMap<number, number>,
  near: ReadonlyMap<number, number>,
  far: ReadonlyMap<number, number>,
): HopFigures {
  const both = [...sent].flatMap(([timestamp, sentMs]) => {
    const [nearMs, farMs] = [near.get(timestamp), far.get(timestamp)];
    return nearMs === undefined || farMs === undefined ? [] : [{ sentMs, nearMs, farMs }];
  });
  return {
    oneNode: spreadOf(both.map(({ sentMs, nearMs }) => nearMs - sentMs)),
    twoNodes: spreadOf(both.map(({ sentMs, farMs }) => farMs - sentMs)),
    added: spreadOf(both.map(({ nearMs, farMs }) => farMs - nearMs)),
  };
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

/** The latency that a pipe adds to a packet. */
export const hopSection: SpanSection = {
  name: 'hop',
  async run({ seconds }: SpanOptions, progress): Promise<SpanResult> {
    progress('latency of a pipe hop');
    return describeHop(await measureHop(Math.round((seconds * 1_000) / CAMERA.intervalMs)));
  },
};
