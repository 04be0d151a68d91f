import {
  REQUEST_ID,
  type ClientReply,
  type ClientRequestInput,
  type ClientRequestName,
  type RequestId,
} from '@plenary/cluster/protocol';

/** Sends a request to the edge in use; fails with `timed_out` while there is none. */
export type RequestEdge = <Name extends ClientRequestName>(
  name: Name,
  payload: ClientRequestInput<Name>,
) => Promise<ClientReply<Name>>;

/** A fresh id that makes a repeated request harmless. */
export function newRequestId(): RequestId {
  // crypto.randomUUID exists only in secure contexts. Elsewhere the join must still run, to report the cause.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return REQUEST_ID.parse([...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
}
