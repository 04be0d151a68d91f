import { TRANSPORT_ID } from '@plenary/cluster/protocol';
import type { ClientRequestInput, Epoch, MediaOffer, TransportId } from '@plenary/cluster/protocol';
import { receivingCapabilities } from './bot-capabilities.ts';
import { BotTransport } from './bot-transport.ts';

/** The transports of one media session; a bot that moves has two sessions for a while. */
export interface BotMedia {
  readonly epoch: Epoch;
  readonly mediaNodeId: string;
  readonly receive: BotTransport;
  readonly send: BotTransport | undefined;
  readonly sendTransportId: TransportId | undefined;
}

/** Callbacks for a bot's transports. */
export interface LinkHandlers {
  readonly received: (packet: Buffer) => void;
  readonly feedback: (packet: Buffer) => void;
}

/** Transports that are not connected yet. */
export interface BotLinks {
  readonly receive: BotTransport;
  readonly send: BotTransport | undefined;
}

/** Options of a bot's transports. */
export interface LinkOptions {
  readonly name: string;
  readonly canPublish: boolean;
  /** The address of this machine that the transports use; 127.0.0.1 by default. */
  readonly bindAddress?: string;
}

export function makeLinks(options: LinkOptions, { received, feedback }: LinkHandlers): BotLinks {
  const { name, bindAddress, canPublish } = options;
  return {
    receive: new BotTransport(name, 'receive', received, bindAddress),
    send: canPublish ? new BotTransport(name, 'send', feedback, bindAddress) : undefined,
  };
}

export function closeLinks(links: BotLinks | undefined): void {
  links?.receive.close();
  links?.send?.close();
}

/** The media request of a bot. */
export function mediaRequest({ receive, send }: BotLinks): ClientRequestInput<'join'>['media'] {
  return {
    rtpCapabilities: receivingCapabilities(),
    publish: send !== undefined,
    dtls: {
      receive: receive.dtlsParameters,
      ...(send === undefined ? {} : { send: send.dtlsParameters }),
    },
  };
}

/** Starts ICE towards the transports of an offer. */
export function openLinks(offer: MediaOffer, { receive, send }: BotLinks): BotMedia {
  receive.open(offer.receiveTransport);
  const { sendTransport, epoch, mediaNodeId } = offer;
  if (sendTransport === undefined)
    return { epoch, mediaNodeId, receive, send: undefined, sendTransportId: undefined };
  send?.open(sendTransport);
  return { epoch, mediaNodeId, receive, send, sendTransportId: TRANSPORT_ID.parse(sendTransport.id) };
}
