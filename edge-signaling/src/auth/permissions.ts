import { PlenaryError } from '@plenary/cluster';
import type { JoinGrants } from '@plenary/cluster';
import { KIND_OF_SOURCE } from '@plenary/cluster/protocol';
import type { ClientRequest, TrackSource } from '@plenary/cluster/protocol';

type Grants = Pick<JoinGrants, 'role' | 'publish'>;

/** Whether a session may send anything at all: a viewer never does (SPEC TK4). */
export function mayPublishAnything(grants: Grants): boolean {
  return grants.role !== 'viewer' && grants.publish.length > 0;
}

export function mayPublish(grants: Grants, source: TrackSource): boolean {
  return mayPublishAnything(grants) && grants.publish.includes(source);
}

/** @throws PlenaryError `forbidden`; `malformed_message` when the kind is not the one of the source */
export function checkPublish(grants: Grants, request: ClientRequest<'track.publish'>): void {
  if (!mayPublish(grants, request.source)) {
    throw new PlenaryError('forbidden', `The source ${request.source} may not be published.`);
  }
  if (KIND_OF_SOURCE[request.source] !== request.kind) {
    throw new PlenaryError(
      'malformed_message',
      `kind: a ${request.source} is ${KIND_OF_SOURCE[request.source]}`,
    );
  }
}
