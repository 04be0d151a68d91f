import { ManualClock } from '@plenary/cluster';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { metricSum } from '../testing/metric-values.ts';
import { CALLS_OF_NODE_REQUEST, NODE_CALLS, NODE_REQUESTS, NodeBudgets } from './node-budgets.ts';

function budgetsOf(pipePorts = 100) {
  const clock = new ManualClock();
  const lines: unknown[] = [];
  const logger = { warn: (line: unknown) => void lines.push(line) };
  const metrics = createMetrics(false);
  const budgets = new NodeBudgets({ clock, metrics, logger, pipePorts });
  return { clock, lines, metrics, budgets };
}

describe('NodeBudgets', () => {
  it('[BU20] [BU68] refuse a node that requests too much, and no other; requests that free something are never refused', async () => {
    const { clock, lines, metrics, budgets } = budgetsOf();
    const cost = CALLS_OF_NODE_REQUEST['pipe.consume'] ?? 0;
    for (let calls = 0; calls < NODE_CALLS.capacity; calls += cost) budgets.spend('node-b', 'pipe.consume');
    for (let index = 0; index < 3; index += 1)
      expect(() => budgets.spend('node-b', 'pipe.open')).toThrow('Too many requests');
    budgets.spend('node-b', 'pipe.release');
    budgets.spend('node-b', 'pipe.close');
    budgets.spend('node-c', 'pipe.open');
    expect(lines).toEqual([{ scope: 'node', resource: 'mediasoup', mediaNodeId: 'node-b', unsaid: 0 }]);
    expect(await metricSum(metrics, 'plenary_media_limited_total')).toBe(3);
    clock.advance(1_000);
    budgets.spend('node-b', 'pipe.open');
  });

  it('[BU70] charge nothing for requests without a mediasoup call: a thousand viewers of a node may locate thirty tracks each', () => {
    const { clock, budgets } = budgetsOf();
    for (let viewer = 0; viewer < 1_000; viewer += 1) {
      for (let track = 0; track < 32; track += 1) {
        budgets.spend('node-b', 'pipe.locate');
        budgets.spend('node-b', 'pipe.relay');
      }
      clock.advance(10);
    }
    budgets.spend('node-b', 'pipe.open');
  });

  it('[BU69] limit the open pipes of one node over all its links', () => {
    const { budgets } = budgetsOf(20);
    const ends = Array.from({ length: 15 }, () => budgets.holdPipe('node-b'));
    expect(() => budgets.holdPipe('node-b')).toThrow('Too many pipes');
    budgets.holdPipe('node-c');
    ends[0]?.();
    ends[0]?.();
    budgets.holdPipe('node-b');
    expect(() => budgets.holdPipe('node-b')).toThrow('Too many pipes');
  });

  it('[BU71] distinguish a node that floods from one that requests much', () => {
    const { clock, budgets } = budgetsOf();
    for (let count = 0; count < NODE_REQUESTS.capacity; count += 1)
      expect(budgets.isFlooding('node-b')).toBe(false);
    expect(budgets.isFlooding('node-b')).toBe(true);
    expect(budgets.isFlooding('node-c')).toBe(false);
    clock.advance(1_000);
    expect(budgets.isFlooding('node-b')).toBe(false);
  });
});
