import type { IceChange, ClientTransport as OnMediasoupTransport } from './client-transport.ts';
import type { MediaConsumer as OnMediasoupConsumer } from './media-consumer.ts';
import type { MediaProducer as OnMediasoupProducer } from './media-producer.ts';
import type { PipeTransport as OnMediasoupPipeTransport } from './pipe-transport.ts';
import type { RoomRouter as OnMediasoupRouter } from './room-router.ts';
import type { TrackVolume } from './speaker-observer.ts';

/**
 * The engine as the rest of the node sees it: workers, routers and their transports, producers and consumers. The
 * classes of this folder implement it with mediasoup; rooms, pipes and gateways use only these types, so that they
 * run on any other implementation too.
 */
export type MediaConsumer = Omit<OnMediasoupConsumer, 'layers'>;
export type MediaProducer = Pick<OnMediasoupProducer, keyof OnMediasoupProducer>;

export interface ClientTransport extends Omit<OnMediasoupTransport, 'produce' | 'consume'> {
  produce(...request: Parameters<OnMediasoupTransport['produce']>): Promise<MediaProducer>;
  consume(...request: Parameters<OnMediasoupTransport['consume']>): Promise<MediaConsumer>;
}

export interface PipeTransport extends Omit<OnMediasoupPipeTransport, 'produce' | 'consume'> {
  produce(...request: Parameters<OnMediasoupPipeTransport['produce']>): Promise<MediaProducer>;
  consume(...request: Parameters<OnMediasoupPipeTransport['consume']>): Promise<MediaConsumer>;
}

export interface RoomRouter extends Pick<OnMediasoupRouter, 'id' | 'workerIndex' | 'closed' | 'close'> {
  /** @throws PlenaryError `media_lost` */
  createClientTransport(
    onIceChange: (transport: Pick<ClientTransport, 'id'>, change: IceChange) => void,
  ): Promise<ClientTransport>;
  /** @throws PlenaryError `media_lost` */
  createPipeTransport(
    ...request: Parameters<OnMediasoupRouter['createPipeTransport']>
  ): Promise<PipeTransport>;
  /** @throws PlenaryError `media_lost` */
  observeSpeaker(
    producer: MediaProducer,
    onVolumes: (volumes: readonly TrackVolume[]) => void,
  ): Promise<void>;
}

export interface Workers {
  /** The workers that are alive now, each with its share of one core, 0 to 1. */
  alive(): readonly { readonly index: number; readonly cpu: number }[];
  /** @returns `undefined` while the worker is dead */
  worker(index: number): { createRouter(): Promise<RoomRouter> } | undefined;
}
