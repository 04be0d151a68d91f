import { PlenaryError, TRACK_ID, TRANSPORT_ID } from '@plenary/cluster';
import type { IceParameters, MediaTraffic, TransportId, TransportOffer } from '@plenary/cluster';
import type { ClientTransport, IceChange } from '@plenary/media-node/simulation';
import { Holdings } from './host.ts';
import type { ConsumerPart, ProducerPart, RouterPart } from './host.ts';

const ICE: IceParameters = { usernameFragment: 'user', password: 'aPasswordOf22Characters' };

type OnIceChange = (transport: Pick<ClientTransport, 'id'>, change: IceChange) => void;

/** A client's transport on a router: its producers and consumers. */
export class SimulatedTransport implements ClientTransport {
  readonly id: TransportId;
  readonly #router: RouterPart;
  readonly #held = new Holdings();
  readonly #onIceChange: OnIceChange;
  closed = false;
  isConnecting = false;

  constructor(router: RouterPart, onIceChange: OnIceChange) {
    this.#router = router;
    this.#onIceChange = onIceChange;
    this.id = TRANSPORT_ID.parse(router.host.idOf('t'));
    router.held.add(this.close);
    router.host.ether.ice.set(this.id, {
      host: router.host,
      onChange: (change) => {
        onIceChange(this, change);
      },
    });
  }

  offer(): TransportOffer {
    const { address, firstPort } = this.#router.host;
    return {
      id: this.id,
      iceParameters: ICE,
      iceCandidates: [
        {
          foundation: 'udp',
          priority: 1,
          ip: address,
          address,
          protocol: 'udp',
          port: firstPort,
          type: 'host',
        },
      ],
      dtlsParameters: {
        role: 'auto',
        fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') }],
      },
    };
  }

  async connect(): Promise<void> {
    this.isConnecting = true;
    await this.#answer();
    this.#onIceChange(this, 'connected');
  }

  /** No packets are sent in the simulation, so the count is always 0. */
  receivedBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  receiverBytes(): Promise<{ readonly media: number; readonly again: number }> {
    return Promise.resolve({ media: 0, again: 0 });
  }

  async traffic(): Promise<MediaTraffic> {
    await this.#answer();
    return { sentBytes: 0, receivedBytes: 0 };
  }

  async restartIce(): Promise<IceParameters> {
    await this.#answer();
    return ICE;
  }

  async produce(...request: Parameters<ClientTransport['produce']>): Promise<ProducerPart> {
    const [{ kind, rtpParameters, paused }, onClosed] = request;
    await this.#answer();
    const producerId = TRACK_ID.parse(this.#router.host.idOf('p'));
    const producer = this.#router.produce({
      producerId,
      kind,
      rtpParameters,
      paused,
      origin: { kind: 'home' },
      onClosed: (cause) => {
        forget();
        onClosed(cause);
      },
    });
    const forget = this.#held.add(() => {
      producer.close('transport_closed');
    });
    return producer;
  }

  async consume(...request: Parameters<ClientTransport['consume']>): Promise<ConsumerPart> {
    const [{ producerId, paused }, on] = request;
    await this.#answer();
    const consumer = this.#router.consume(producerId, paused, on, () => {
      forget();
    });
    const forget = this.#held.add(() => {
      consumer.close();
    });
    return consumer;
  }

  readonly close = (): void => {
    if (this.closed) return;
    this.closed = true;
    this.#router.host.ether.ice.delete(this.id);
    this.#held.closeAll();
  };

  async #answer(): Promise<void> {
    await this.#router.answer();
    if (this.closed) throw new PlenaryError('media_lost');
  }
}
