import { PlenaryError, silentLogger } from '@plenary/cluster';
import type { LoggedEvent } from '@plenary/cluster';
import { room } from '@plenary/cluster/testing/samples';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { metricSum } from '../testing/metric-values.ts';
import { EventOutbox } from './event-outbox.ts';

const roomId = room('r');
const closing: EventOutbox[] = [];
afterEach(() => {
  for (const outbox of closing.splice(0)) outbox.close();
});

function outboxWith() {
  const metrics = createMetrics(false);
  const outbox = new EventOutbox(metrics, silentLogger());
  closing.push(outbox);
  const apply = vi.fn((): Promise<readonly LoggedEvent[]> => Promise.resolve([]));
  const change = (key: string) => ({ key, roomId, apply, deliver: () => undefined });
  return { metrics, outbox, apply, change };
}

describe('[OU3] the outbox', () => {
  test('makes a change at once while the store answers', async () => {
    const { outbox, apply, change, metrics } = outboxWith();
    outbox.submit(change('a'));
    await outbox.settled();
    expect(apply).toHaveBeenCalledOnce();
    expect(await metricSum(metrics, 'plenary_media_outbox')).toBe(0);
  });

  test('keeps one change per key while the store is unreachable, and makes it when the store returns', async () => {
    const { outbox, apply, change, metrics } = outboxWith();
    apply.mockRejectedValue(new PlenaryError('store_unavailable'));
    for (const key of ['a', 'b', 'a', 'a']) outbox.submit(change(key));
    await outbox.settled();
    expect(await metricSum(metrics, 'plenary_media_outbox')).toBe(2);
    apply.mockReset();
    apply.mockResolvedValue([]);
    outbox.flush();
    await outbox.settled();
    expect(apply).toHaveBeenCalledTimes(2);
    expect(await metricSum(metrics, 'plenary_media_outbox')).toBe(0);
  });

  test('drops a change that the store refuses, and counts it', async () => {
    const { outbox, apply, change, metrics } = outboxWith();
    apply.mockRejectedValue(new PlenaryError('stale_epoch'));
    outbox.submit(change('a'));
    await outbox.settled();
    expect(await metricSum(metrics, 'plenary_media_outbox')).toBe(0);
    expect(await metricSum(metrics, 'plenary_errors_total')).toBe(1);
  });
});
