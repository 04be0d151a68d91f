/** Maps Consul's refusals and failed connections to the reason why Consul does not serve; the only place that does. */

import { lacksFiles, RAISE_FILE_LIMIT } from '../process/file-limit.ts';
import { codeOf, isTlsFault } from '../process/tls-fault.ts';

/** A closed set: a label of metrics, and part of the answer of `/ready`. */
export const CONSUL_TROUBLES = [
  'no_connection',
  'refused',
  'no_answer',
  'unreachable',
  'unknown_name',
  'tls_refused',
  'access_denied',
  'no_leader',
  'too_many_requests',
  'too_many_files',
  'failing',
] as const;
export type ConsulTrouble = (typeof CONSUL_TROUBLES)[number];

/** Consul's refusal of a request. */
export interface ConsulRefusal {
  readonly status: number;
  readonly text: string;
}

/** @param refusal - `undefined` if Consul did not answer at all */
export function consulTroubleOf(error: unknown, refusal: ConsulRefusal | undefined): ConsulTrouble {
  if (refusal !== undefined) {
    if (refusal.status === 403 || refusal.status === 401) return 'access_denied';
    if (refusal.status === 429) return 'too_many_requests';
    return /no cluster leader|no known consul servers|leadership lost/i.test(refusal.text)
      ? 'no_leader'
      : 'failing';
  }
  if (!(error instanceof Error)) return 'no_connection';
  const code = codeOf(error);
  if (isTlsFault(error)) return 'tls_refused';
  if (lacksFiles(error)) return 'too_many_files';
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'unknown_name';
  if (/^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(code)) return 'unreachable';
  // The package's own error for a request that took too long.
  if (/timed ?out|timeout/i.test(error.message)) return 'no_answer';
  return 'no_connection';
}

/** Whether Consul probably recovers without help, or somebody must act; and what to do. */
export const CONSUL_ADVICE: Readonly<
  Record<ConsulTrouble, { readonly mustAct: boolean; readonly toDo: string }>
> = {
  no_connection: { mustAct: false, toDo: 'see whether the Consul agent runs, and what its log says' },
  refused: { mustAct: true, toDo: 'see whether the Consul agent runs, and listens at CONSUL_HTTP_ADDR' },
  no_answer: { mustAct: false, toDo: 'see whether the Consul agent hangs, or its network drops packets' },
  unreachable: { mustAct: true, toDo: 'see whether this host reaches CONSUL_HTTP_ADDR' },
  unknown_name: { mustAct: true, toDo: 'correct the host name in CONSUL_HTTP_ADDR, or the name service' },
  tls_refused: {
    mustAct: true,
    toDo: 'correct the certificate of the Consul agent, its name, or NODE_EXTRA_CA_CERTS, and see that CONSUL_HTTP_ADDR says https where the agent does',
  },
  access_denied: {
    mustAct: true,
    toDo: 'correct CONSUL_HTTP_TOKEN, or give its policy what deploy/consul/plenary-policy.hcl gives',
  },
  no_leader: {
    mustAct: false,
    toDo: 'see whether most of the Consul servers run and reach one another, and whether the agent reaches them',
  },
  too_many_requests: {
    mustAct: true,
    toDo: 'raise limits.http_max_conns_per_client of the Consul agent, or limits.request_limits of its servers; the processes of one host come from one address',
  },
  too_many_files: { mustAct: true, toDo: `raise the file limit of this process (${RAISE_FILE_LIMIT})` },
  failing: { mustAct: true, toDo: 'see what the log of the Consul agent says of the requests it fails' },
};
