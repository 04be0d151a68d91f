import { ManualClock } from '@plenary/cluster';
import { peer, room } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { PEER_CALLS, PeerBudgets } from './peer-budgets.ts';

function budgetsOf() {
  const clock = new ManualClock();
  const lines: unknown[] = [];
  const logger = { warn: (line: unknown) => void lines.push(line) };
  const metrics = createMetrics(false);
  const budgets = new PeerBudgets({ clock, metrics, logger });
  const spend = (name: string, calls: number): void => {
    budgets.spend({ roomId: room('standup'), peerId: peer(name) }, calls);
  };
  return { clock, lines, budgets, spend };
}

describe('PeerBudgets', () => {
  it('[BU10] refuse a peer that requests too much, and no other; a peer that slows down is served again', () => {
    const { clock, lines, spend } = budgetsOf();
    spend('ann', PEER_CALLS.capacity);
    for (let index = 0; index < 3; index += 1) expect(() => spend('ann', 1)).toThrow('Too many changes');
    spend('bob', 1);
    expect(lines).toHaveLength(1);
    clock.advance(1_000);
    spend('ann', PEER_CALLS.refillPerSecond);
    expect(() => spend('ann', 1)).toThrow('Too many changes');
  });

  it('[BU34] forget peers that spent nothing recently', () => {
    const { clock, budgets, spend } = budgetsOf();
    for (let index = 0; index < 1_000; index += 1) spend(`peer-${index}`, 1);
    clock.advance(1_000);
    spend('ann', 1);
    expect(budgets.size).toBe(1);
  });
});
