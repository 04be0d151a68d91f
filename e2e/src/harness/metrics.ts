/** The values of a process's `/metrics`, summed over labels. */
export type Readings = ReadonlyMap<string, number>;

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Parses Prometheus' text format. */
function parseSeries(text: string): readonly Series[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs: Record<string, string> = {};
    for (const [, label = '', text = ''] of labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="([^"]*)"/g))
      pairs[label] = text;
    return [{ name, labels: pairs, value: Number(value) }];
  });
}

/** @throws Error if the process does not answer */
async function fetchSeries(url: string): Promise<readonly Series[]> {
  const response = await fetch(new URL('/metrics', url));
  if (!response.ok) throw new Error(`${url}/metrics answered ${response.status}`);
  return parseSeries(await response.text());
}

/** Reads a process's metrics. @throws Error if it does not answer */
export async function readMetrics(url: string): Promise<Readings> {
  const readings = new Map<string, number>();
  for (const { name, value } of await fetchSeries(url)) readings.set(name, (readings.get(name) ?? 0) + value);
  return readings;
}

/** Reads one metric, summed over its series with these labels. @throws Error if the process does not answer */
export async function readMetric(
  url: string,
  wanted: string,
  labelled: Readonly<Record<string, string>>,
): Promise<number> {
  const series = (await fetchSeries(url)).filter(
    ({ name, labels }) =>
      name === wanted && Object.entries(labelled).every(([label, text]) => labels[label] === text),
  );
  return series.reduce((sum, { value }) => sum + value, 0);
}
