import { HTTP_URL } from '@plenary/cluster/protocol';
import { z } from 'zod';

const FETCH_TIMEOUT_MS = 5_000;
const SERVICE_INFO = z.object({
  guests: z.boolean(),
  embedOrigins: z.array(HTTP_URL).max(64),
});

/** Settings of the service that an edge publishes before a join. */
export type ServiceInfo = z.infer<typeof SERVICE_INFO>;

let known: Promise<ServiceInfo | undefined> | undefined;

/**
 * Fetches the settings once for the page, and again after a failure. `undefined` when the edge does not answer; admission is then decided
 * by the join alone.
 */
export async function serviceInfo(): Promise<ServiceInfo | undefined> {
  known ??= fetchServiceInfo((input, init) => fetch(input, init));
  const fetching = known;
  const info = await fetching;
  if (info === undefined && known === fetching) known = undefined;
  return info;
}

export async function fetchServiceInfo(fetchFrom: typeof fetch): Promise<ServiceInfo | undefined> {
  try {
    const response = await fetchFrom('/api/service', { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!response.ok) return undefined;
    const parsed = SERVICE_INFO.safeParse(await response.json());
    return parsed.success ? parsed.data : undefined;
  } catch (thrown) {
    console.warn('plenary: the settings of the service could not be fetched', thrown);
    return undefined;
  }
}
