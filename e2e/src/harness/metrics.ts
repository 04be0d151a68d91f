/** Readings of a process' `/metrics`, summed over labels. */
export type Readings = ReadonlyMap<string, number>;

/** Parses Prometheus' text format; series of one name are added up. */
export function parseMetrics(text: string): Readings {
  const readings = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})? (\S+)/.exec(line);
    if (match?.[1] === undefined) continue;
    readings.set(match[1], (readings.get(match[1]) ?? 0) + Number(match[2]));
  }
  return readings;
}

/** Reads the metrics of a process of the cluster. @throws Error when it does not answer */
export async function readMetrics(url: string): Promise<Readings> {
  const response = await fetch(new URL('/metrics', url));
  if (!response.ok) throw new Error(`${url}/metrics answered ${response.status}`);
  return parseMetrics(await response.text());
}
