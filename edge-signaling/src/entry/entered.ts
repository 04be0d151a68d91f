/** The parameters and results that both ways into a session share: join and resume. */
import { PlenaryError } from '@plenary/cluster';
import type { ClientReply } from '@plenary/cluster/protocol';
import type { Payers } from '../limits/meter.ts';
import type { HostRequest } from '../media/placer.ts';
import type { Session } from './session.ts';

/** The gate place and the entrant of a join or resume, and the charge for it. */
export interface Entering extends Pick<HostRequest, 'entrant' | 'place'> {
  /** Charges the room and the tenant. @throws PlenaryError `rate_limited` */
  readonly charge: (payers: Payers) => void;
}

export interface Entered<Name extends 'join' | 'resume'> {
  readonly session: Session;
  readonly reply: ClientReply<Name>;
}

/**
 * Converts `peer_not_found` for a peer that was removed meanwhile. A client that resumes must join instead (`session_gone`). A
 * repeated join is retried and places the peer again (`stale_epoch`).
 */
export function notFoundAs(code: 'session_gone' | 'stale_epoch'): (fault: unknown) => never {
  return (fault) => {
    const isGone = fault instanceof PlenaryError && fault.code === 'peer_not_found';
    throw isGone ? new PlenaryError(code, undefined, { cause: fault }) : fault;
  };
}
