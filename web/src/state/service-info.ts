import { HTTP_URL } from '@plenary/cluster/protocol';
import { z } from 'zod';

const FETCH_TIMEOUT_MS = 5_000;
const SERVICE_INFO = z.object({
  guests: z.boolean(),
  embedOrigins: z.array(HTTP_URL).max(64),
});

/** What the edge tells of the service before anybody joins. */
export type ServiceInfo = z.infer<typeof SERVICE_INFO>;

let known: Promise<ServiceInfo | undefined> | undefined;

/**
 * Asked once for the page, and anew after an edge did not answer; `undefined` where it does not, who lets in whom it wants all
 * the same.
 */
export async function serviceInfo(): Promise<ServiceInfo | undefined> {
  known ??= fetchServiceInfo((input, init) => fetch(input, init));
  const asked = known;
  const info = await asked;
  if (info === undefined && known === asked) known = undefined;
  return info;
}

export async function fetchServiceInfo(fetchFrom: typeof fetch): Promise<ServiceInfo | undefined> {
  try {
    const response = await fetchFrom('/api/service', { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!response.ok) return undefined;
    const parsed = SERVICE_INFO.safeParse(await response.json());
    return parsed.success ? parsed.data : undefined;
  } catch (thrown) {
    console.warn('plenary: the edge does not tell about the service', thrown);
    return undefined;
  }
}
