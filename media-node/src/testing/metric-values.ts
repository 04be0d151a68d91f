import type { NodeMetrics } from '../metrics.ts';

/** The sum over all labels of a metric, by its full name. */
export async function metricSum(metrics: NodeMetrics, name: string): Promise<number> {
  const metric = metrics.registry.getSingleMetric(name);
  if (metric === undefined) throw new Error(`There is no metric ${name}.`);
  const { values } = await metric.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

/** The value of a metric by one label. */
export async function metricBy(
  metrics: NodeMetrics,
  name: string,
  label: string,
): Promise<Record<string, number>> {
  const metric = metrics.registry.getSingleMetric(name);
  if (metric === undefined) throw new Error(`There is no metric ${name}.`);
  const { values } = await metric.get();
  return Object.fromEntries(
    values.map(({ labels, value }) => [
      String(Object.entries(labels).find(([key]) => key === label)?.[1]),
      value,
    ]),
  );
}

/** Every gauge that must return to zero when all rooms are empty. */
export const HELD_GAUGES = [
  'plenary_media_routers',
  'plenary_media_transports',
  'plenary_media_producers',
  'plenary_media_piped_producers',
  'plenary_media_consumers',
  'plenary_media_pipe_consumers',
  'plenary_media_audio_observers',
  'plenary_media_rooms',
  'plenary_media_peers',
  'plenary_media_orphan_peers',
  'plenary_media_pipes',
  'plenary_media_outbox',
] as const;

/** The gauges that are not zero yet; empty when everything was freed. */
export async function stillHeld(metrics: NodeMetrics): Promise<Record<string, number>> {
  const held: Record<string, number> = {};
  for (const name of HELD_GAUGES) {
    const value = await metricSum(metrics, name);
    if (value !== 0) held[name] = value;
  }
  return held;
}

/** Waits until everything was freed. @throws Error that lists the gauges that are not zero */
export async function untilFreed(metrics: NodeMetrics, timeoutMs = 100_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const held = await stillHeld(metrics);
    if (Object.keys(held).length === 0) return;
    if (performance.now() > deadlineMs) throw new Error(`Still held: ${JSON.stringify(held)}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
