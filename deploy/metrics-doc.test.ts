/** Holds `docs/metrics.md` to what the processes export; `npx vitest run --project unit deploy/metrics-doc -u` rewrites it. */
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createEdgeMetrics } from '../edge-signaling/src/metrics.ts';
import { createMetrics } from '../media-node/src/metrics.ts';

const DOCUMENT = join(import.meta.dirname, '../docs/metrics.md');

function tableOf(registry: Registry): string {
  const metrics = registry.getMetricsAsArray();
  const own = metrics.filter(({ name }) => name.startsWith('plenary_'));
  const rows = own.map((metric) => {
    const labels = 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : [];
    return `| \`${metric.name}\` | ${labels.map((label) => `\`${String(label)}\``).join(', ') || '–'} | ${metric.help} |`;
  });
  return ['| metric | labels | what it says |', '| --- | --- | --- |', ...rows.sort()].join('\n');
}

describe('docs/metrics.md', () => {
  it('lists every metric of both processes, as they describe them themselves', async () => {
    const edge = createEdgeMetrics().registry;
    const mediaNode = createMetrics(true).registry;
    const document = `# Metrics

Every process answers \`/metrics\`, on its operators' port, in Prometheus' text format. Beside the rows below, each gives Node's own figures
(\`process_*\`, \`nodejs_*\`). Labels are of closed sets: no metric carries the id of a room, a peer or a client.

## Edge

${tableOf(edge)}

## Media node

${tableOf(mediaNode)}
`;
    await expect(document).toMatchFileSnapshot(DOCUMENT);
  });
});
