import { EDGE_HINT } from '@plenary/cluster/protocol';
import { z } from 'zod';
import type { ProbePort } from './probe-port.ts';

const EDGES_REPLY = z.object({ edges: z.array(EDGE_HINT).max(64) });
/** Pings after the one that opens the connection. The fastest counts, because any disturbance only adds time. */
const TIMED_PINGS = 2;

/** Probes edges over HTTP. Tests replace `fetchFrom` and `now`. */
export function fetchProbe(
  fetchFrom: typeof fetch = (input, init) => fetch(input, init),
  now: () => number = () => performance.now(),
): ProbePort {
  const get = async (url: string, signal: AbortSignal): Promise<Response> => {
    const response = await fetchFrom(url, { signal, cache: 'no-store', credentials: 'omit' });
    if (!response.ok) throw new Error(`${url} answered ${response.status}.`);
    return response;
  };
  const ping = async (url: string, signal: AbortSignal): Promise<void> => {
    // Reading the body frees the connection for the next ping.
    await (await get(`${url}/api/ping`, signal)).arrayBuffer();
  };
  return {
    knownEdges: async (edgeUrl, signal) => {
      const response = await get(`${edgeUrl}/api/edges`, signal);
      return EDGES_REPLY.parse(await response.json()).edges;
    },
    ping: async (edgeUrl, signal) => {
      await ping(edgeUrl, signal);
      let fastestMs = Number.POSITIVE_INFINITY;
      for (let count = 0; count < TIMED_PINGS; count += 1) {
        const startedMs = now();
        await ping(edgeUrl, signal);
        fastestMs = Math.min(fastestMs, now() - startedMs);
      }
      return fastestMs;
    },
  };
}
