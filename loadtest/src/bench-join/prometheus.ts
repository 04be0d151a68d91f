/** One sample of the text format: its labels and its value. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of one metric in Prometheus' text format; it reads no more than prom-client writes. */
export function readMetric(text: string, name: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match === null || match[1] !== name) return [];
    const labels = [...(match[2] ?? '').matchAll(/([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g)];
    return [
      {
        labels: Object.fromEntries(labels.map(([, key = '', value = '']) => [key, value])),
        value: Number(match[3]),
      },
    ];
  });
}

/** @throws Error if the process does not answer */
export async function fetchMetrics(processUrl: string): Promise<string> {
  const response = await fetch(`${processUrl}/metrics`);
  if (!response.ok) throw new Error(`${processUrl}/metrics answers ${response.status}`);
  return response.text();
}

/** A counter's values by one of its labels. */
export function byLabel(text: string, name: string, label: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const { labels, value } of readMetric(text, name)) {
    const key = labels[label] ?? '';
    values.set(key, (values.get(key) ?? 0) + value);
  }
  return values;
}

/** The increase between two readings; unchanged values are left out. */
export function difference(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  return new Map(
    [...after]
      .map(([key, value]): [string, number] => [key, value - (before.get(key) ?? 0)])
      .filter(([, change]) => change !== 0),
  );
}
