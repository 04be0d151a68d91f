import { room, tenant } from '@plenary/cluster/testing/samples';
import { expect, it } from 'vitest';
import { createEdgeMetrics } from './metrics.ts';
import { MAX_NAMED_TENANTS, OTHER_TENANTS, TenantMeter } from './tenant-meter.ts';

it('[TN6] names the first tenants of the configuration, and counts all others together, however many there are', async () => {
  const metrics = createEdgeMetrics();
  const tenants = Array.from({ length: 500 }, (_, index) => tenant(`tenant-${index}`));
  const meter = new TenantMeter(tenants, metrics);
  for (const tenantId of tenants) {
    meter.joined(tenantId, 'ok');
    meter.joined(tenantId, 'room_full');
  }
  const rooms = tenants.map((tenantId) => room('daily', tenantId));
  meter.count({ roomIds: () => rooms, sessionsIn: () => [] });
  const { values } = await metrics.tenantJoins.get();
  expect(new Set(values.map(({ labels }) => labels.tenant)).size).toBe(MAX_NAMED_TENANTS + 1);
  const others = 500 - MAX_NAMED_TENANTS;
  expect(values).toContainEqual({ value: others, labels: { tenant: OTHER_TENANTS, result: 'room_full' } });
  expect((await metrics.tenantRooms.get()).values).toContainEqual({
    value: others,
    labels: { tenant: OTHER_TENANTS },
  });
  // A room that is gone leaves no figure behind.
  meter.count({ roomIds: () => [], sessionsIn: () => [] });
  const left = (await metrics.tenantRooms.get()).values.map(({ value }) => value);
  expect(left.every((value) => value === 0)).toBe(true);
});
