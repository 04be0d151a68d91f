/** Why one end of a control link does not want the other: what each side's log and `/ready` name. */
import { z } from 'zod';
import { PlenaryError, toPlenaryError } from '../errors.ts';

/** A closed set, which goes over the wire and into metrics. */
export const LINK_REFUSALS = ['other_secret', 'other_node', 'other_version'] as const;
export type LinkRefusal = (typeof LINK_REFUSALS)[number];

/** A handshake that ends before it began. */
export class RefusedLink extends PlenaryError {
  readonly refusal: LinkRefusal;

  constructor(refusal: LinkRefusal, why: string) {
    super('unauthorised', why);
    this.refusal = refusal;
  }
}

/** A handshake that cannot be read is that of another release; what proves nothing has no key of this cluster. */
export function linkRefusalOf(error: PlenaryError): LinkRefusal {
  if (error instanceof RefusedLink) return error.refusal;
  return error.code === 'malformed_message' ? 'other_version' : 'other_secret';
}

/** What a Socket.IO server's middleware hands to `next`, so that the caller is told why. */
export function refusalToCaller(thrown: unknown): Error {
  const error = toPlenaryError(thrown);
  const data = { ...error.toWire(), refusal: linkRefusalOf(error) };
  return Object.assign(new Error(error.message), { data });
}

const REFUSED = z.object({ data: z.object({ refusal: z.enum(LINK_REFUSALS) }) });

/** Why the other side refused, by what it says, which proves nothing. A release before this one does not say it. */
export function readRefusal(connectError: unknown): LinkRefusal {
  const parsed = REFUSED.safeParse(connectError);
  return parsed.success ? parsed.data.data.refusal : 'other_secret';
}
