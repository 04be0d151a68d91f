import type { Epoch, RequestId } from '@plenary/cluster';
import { REQUEST_ID } from '@plenary/cluster/ids';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  MediaRequest,
} from '@plenary/cluster/protocol';

/** The media session that a simulated client requests. */
export const MEDIA_REQUEST: MediaRequest = { rtpCapabilities: { codecs: [] }, publish: true };

/** How the parts of a simulated client send requests to their edge. */
export interface RequestEdge {
  /** Sends a request. A failure gives `undefined`, after lost media and sessions were noted. */
  readonly try: <Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ) => Promise<ClientReply<Name> | undefined>;
  readonly nextRequestId: () => RequestId;
  /** The epoch of the client's media session. */
  readonly epoch: () => Epoch | undefined;
}

/** Gives each request of one client an id. */
export class RequestIds {
  readonly #name: string;
  #number = 0;

  constructor(name: string) {
    this.#name = name;
  }

  next(): RequestId {
    this.#number += 1;
    return REQUEST_ID.parse(`${this.#name}-${this.#number}`.padEnd(16, '-'));
  }
}
