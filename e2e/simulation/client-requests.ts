import type { Epoch, RequestId } from '@plenary/cluster';
import { REQUEST_ID } from '@plenary/cluster/ids';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  MediaRequest,
} from '@plenary/cluster/protocol';

/** What a client says of itself when it asks for media. */
export const MEDIA_REQUEST: MediaRequest = { rtpCapabilities: { codecs: [] }, publish: true };

/** How the parts of a simulated client ask their edge. */
export interface RequestEdge {
  /** Asks, and takes a failure for an answer: what it says of media and session is noted. */
  readonly try: <Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ) => Promise<ClientReply<Name> | undefined>;
  readonly nextRequestId: () => RequestId;
  /** Names the client's media. */
  readonly epoch: () => Epoch | undefined;
}

/** Numbers what one client asks for. */
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
