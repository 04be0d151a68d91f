import { PROTOCOL_VERSION } from '@plenary/cluster/protocol';
import type { RtpCapabilities } from '@plenary/cluster/protocol';
import { receivingCapabilities } from '../bots/bot-capabilities.ts';
import type { ApiCredentials } from '../join-token.ts';

/** The input of `k6/join.js`. It contains a secret, so only its owner may read the file, which is removed after the run. */
export interface JoinLoadPlan extends ApiCredentials {
  readonly edgeUrls: readonly string[];
  readonly protocolVersion: number;
  readonly rtpCapabilities: RtpCapabilities;
  readonly roomSize: number;
  readonly holdMs: number;
  readonly vus: number;
  /** Either a duration, in k6's spelling, or iterations of each VU. */
  readonly duration?: string;
  readonly iterations?: number;
  readonly summaryFile: string;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Refuses targets other than this machine.
 * @throws Error naming the address
 */
export function refuseForeignTargets(urls: readonly string[]): void {
  for (const url of urls) {
    const { protocol, hostname } = new URL(url);
    if (protocol === 'http:' && LOOPBACK.test(hostname)) continue;
    throw new Error(
      `${url} is not a loopback address. load:join loads nothing but a cluster on this machine.`,
    );
  }
}

/** @throws Error if an edge is not on this machine */
export function makePlan(
  target: { readonly edgeUrls: readonly string[]; readonly credentials: ApiCredentials },
  shape: Pick<JoinLoadPlan, 'roomSize' | 'holdMs' | 'vus' | 'duration' | 'iterations'>,
  summaryFile: string,
): JoinLoadPlan {
  if (target.edgeUrls.length === 0) throw new Error('The cluster has no edge.');
  refuseForeignTargets(target.edgeUrls);
  const { apiKey, apiSecret } = target.credentials;
  return {
    ...shape,
    edgeUrls: target.edgeUrls.map((url) => new URL(url).origin),
    apiKey,
    apiSecret,
    protocolVersion: PROTOCOL_VERSION,
    rtpCapabilities: receivingCapabilities(),
    summaryFile,
  };
}
