import { PlenaryError } from '@plenary/cluster';
import type { JoinGrants } from '@plenary/cluster';
import { faultOfPublication } from '@plenary/cluster/protocol';
import type { ClientRequest, TrackSource } from '@plenary/cluster/protocol';

type Grants = Pick<JoinGrants, 'role' | 'publish'>;

/** Whether a session may publish at all: a viewer never may (SPEC TK16). */
export function mayPublishAnything(grants: Grants): boolean {
  return grants.role !== 'viewer' && grants.publish.length > 0;
}

export function mayPublish(grants: Grants, source: TrackSource): boolean {
  return mayPublishAnything(grants) && grants.publish.includes(source);
}

/** @throws PlenaryError `forbidden`; `invalid_media_parameters` if the parts of the request do not match (SPEC MS3) */
export function checkPublish(grants: Grants, request: ClientRequest<'track.publish'>): void {
  if (!mayPublish(grants, request.source)) {
    throw new PlenaryError('forbidden', `The source ${request.source} may not be published.`);
  }
  const fault = faultOfPublication(request);
  if (fault !== undefined) throw new PlenaryError('invalid_media_parameters', fault);
}
