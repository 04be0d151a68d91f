/** The reasons why one end of a control link refuses the other: logs of both sides and `/ready` name them. */
import { z } from 'zod';
import { PlenaryError, toPlenaryError } from '../errors.ts';

/** A closed set, since it goes over the wire and into metrics. */
export const LINK_REFUSALS = ['other_secret', 'other_node', 'other_version'] as const;
export type LinkRefusal = (typeof LINK_REFUSALS)[number];

/** The error of a handshake that was refused. */
export class RefusedLink extends PlenaryError {
  readonly refusal: LinkRefusal;

  constructor(refusal: LinkRefusal, why: string) {
    super('unauthorised', why);
    this.refusal = refusal;
  }
}

/** An unreadable handshake is one of another release; a handshake without a valid proof has no key of this cluster. */
export function linkRefusalOf(error: PlenaryError): LinkRefusal {
  if (error instanceof RefusedLink) return error.refusal;
  return error.code === 'malformed_message' ? 'other_version' : 'other_secret';
}

/** The error that a Socket.IO server's middleware passes to `next`, so that the caller learns the reason. */
export function refusalToCaller(thrown: unknown): Error {
  const error = toPlenaryError(thrown);
  const data = { ...error.toWire(), refusal: linkRefusalOf(error) };
  return Object.assign(new Error(error.message), { data });
}

const REFUSED = z.object({ data: z.object({ refusal: z.enum(LINK_REFUSALS) }) });

/** The other side's reason for its refusal; it is not proved. An earlier release gives none. */
export function readRefusal(connectError: unknown): LinkRefusal {
  const parsed = REFUSED.safeParse(connectError);
  return parsed.success ? parsed.data.data.refusal : 'other_secret';
}
