import type { types } from 'mediasoup';
import { PlenaryError, ROUTER_ID, guardCallback, familyOf, isUnspecified } from '@plenary/cluster';
import type { AddressFamily, RouterId } from '@plenary/cluster';
import { UNSPECIFIED, clientAddressesOf } from '../media-address.ts';
import type { MediaAddress, MediaAddresses } from '../media-address.ts';
import { THIS_MACHINE } from '../pipe/machine.ts';
import { callMediasoup, noteCall } from './calls.ts';
import type { EngineContext } from './calls.ts';
import { ClientTransport } from './client-transport.ts';
import type { IceChange } from './client-transport.ts';
import { KeyFrames } from './key-frames.ts';
import type { MediaProducer } from './media-producer.ts';
import { PipeTransport } from './pipe-transport.ts';
import { SpeakerObserver } from './speaker-observer.ts';
import type { TrackVolume } from './speaker-observer.ts';

/** Bandwidth assumed towards a client before it is estimated, in bits per second. */
const INITIAL_OUTGOING_BITRATE = 1_000_000;
const LOOPBACK = { ipv4: '127.0.0.1', ipv6: '::1' } as const;

/**
 * An address as mediasoup binds it. An IPv6 socket does not cover IPv4, so that sockets of both families can have one
 * port.
 */
export function listenOn({ family, listenIp }: Pick<MediaAddress, 'family' | 'listenIp'>): {
  readonly ip: string;
  readonly flags?: { readonly ipv6Only: true };
} {
  return family === 'ipv6' ? { ip: listenIp, flags: { ipv6Only: true } } : { ip: listenIp };
}

/** The address for pipes between two routers of this node; packets to it never leave the machine. */
function withinHost({ family, listenIp }: MediaAddress): MediaAddress {
  const ip = isUnspecified(listenIp) ? LOOPBACK[family] : listenIp;
  return { family, listenIp: ip, announced: ip };
}

/**
 * The address that a pipe's end is bound on. mediasoup drops packets from an unexpected source, so the end is bound
 * on the very address that the other end uses, if an interface has it, even if it is not one of those for clients.
 */
function boundAt(announced: string, addresses: MediaAddresses): MediaAddress {
  const family = familyOf(announced);
  if (THIS_MACHINE.hasAddress(announced)) return { family, listenIp: announced, announced };
  const listenIp = addresses.find((each) => each.family === family)?.listenIp ?? UNSPECIFIED[family];
  return { family, listenIp, announced };
}

/** A room's router on one worker. */
export class RoomRouter {
  readonly id: RouterId;
  readonly workerIndex: number;
  readonly #router: types.Router;
  readonly #webRtcServer: types.WebRtcServer;
  readonly #context: EngineContext;
  readonly #keyFrames: KeyFrames;
  /** Created with the first microphone; stored as a promise, so that two simultaneous microphones create one. */
  #speakers: Promise<SpeakerObserver> | undefined;

  constructor(
    router: types.Router,
    webRtcServer: types.WebRtcServer,
    workerIndex: number,
    context: EngineContext,
  ) {
    this.id = ROUTER_ID.parse(router.id);
    this.workerIndex = workerIndex;
    this.#router = router;
    this.#webRtcServer = webRtcServer;
    this.#context = context;
    this.#keyFrames = new KeyFrames(context.metrics);
    context.metrics.routers.inc();
    router.observer.once(
      'close',
      guardCallback('mediasoup', () => {
        context.metrics.routers.dec();
      }),
    );
  }

  get closed(): boolean {
    return this.#router.closed;
  }

  /** @throws PlenaryError `media_lost` */
  async createClientTransport(
    onIceChange: (transport: ClientTransport, change: IceChange) => void,
  ): Promise<ClientTransport> {
    const transport = await callMediasoup(
      this.#context.metrics,
      'router.createWebRtcTransport',
      () =>
        this.#router.createWebRtcTransport({
          webRtcServer: this.#webRtcServer,
          enableUdp: true,
          enableTcp: true,
          preferUdp: true,
          initialAvailableOutgoingBitrate: INITIAL_OUTGOING_BITRATE,
        }),
      'media_lost',
    );
    const {
      metrics,
      addresses,
      clientAddresses = () => addresses.flatMap(clientAddressesOf),
    } = this.#context;
    const wrapped = new ClientTransport(transport, metrics, this.#keyFrames, clientAddresses, onIceChange);
    if (this.#router.closed) {
      wrapped.close();
      throw new PlenaryError('media_lost');
    }
    return wrapped;
  }

  /**
   * Opens one end of a pipe on a pipe port of the slice.
   * @param options - `reach` is `loopback` when both routers are on this node, so that no packet of the pipe leaves
   *   the machine; `ownAddress` is the address that the other node sends to; without it, the announced one of the
   *   `family`, or else the first
   * @throws PlenaryError `media_lost`, also when no port of the slice is free; `media_unavailable` without an address
   *   of the family
   */
  async createPipeTransport(
    options: {
      readonly reach: 'loopback' | 'announced';
      readonly srtp: boolean;
      readonly ownAddress?: string | undefined;
      readonly family?: AddressFamily | undefined;
    },
    onClosed: () => void,
  ): Promise<PipeTransport> {
    const { ports, metrics } = this.#context;
    const address = this.#pipeAddress(options);
    const transport = await callMediasoup(
      metrics,
      'router.createPipeTransport',
      () =>
        this.#router.createPipeTransport({
          listenInfo: { protocol: 'udp', ...listenOn(address), portRange: { ...ports.pipePorts } },
          enableRtx: true,
          enableSrtp: options.srtp,
        }),
      'media_lost',
    );
    const port = new PipeTransport(transport, address.announced, metrics, this.#keyFrames, onClosed);
    if (this.#router.closed) {
      port.close();
      throw new PlenaryError('media_lost');
    }
    return port;
  }

  /** Observes the volume of a home microphone. @throws PlenaryError `media_lost` */
  async observeSpeaker(
    producer: MediaProducer,
    onVolumes: (volumes: readonly TrackVolume[]) => void,
  ): Promise<void> {
    this.#speakers ??= SpeakerObserver.create(this.#router, this.#context.metrics, onVolumes).catch(
      (error: unknown) => {
        this.#speakers = undefined;
        throw error;
      },
    );
    await (await this.#speakers).add(producer);
  }

  #pipeAddress({
    reach,
    ownAddress,
    family,
  }: {
    readonly reach: 'loopback' | 'announced';
    readonly ownAddress?: string | undefined;
    readonly family?: AddressFamily | undefined;
  }): MediaAddress {
    const { addresses, pipeAddresses = [] } = this.#context;
    if (reach === 'loopback') return withinHost(addresses[0]);
    if (ownAddress !== undefined && pipeAddresses.includes(ownAddress)) {
      return boundAt(ownAddress, addresses);
    }
    const wanted = ownAddress === undefined ? family : familyOf(ownAddress);
    const address = wanted === undefined ? addresses[0] : addresses.find((each) => each.family === wanted);
    if (address === undefined) {
      throw new PlenaryError('media_unavailable', `This node announces no ${String(wanted)} address.`);
    }
    return boundAt(address.announced, addresses);
  }

  /** mediasoup's own dump of this router, for tests. */
  async dump(): Promise<types.RouterDump> {
    return this.#router.dump();
  }

  close(): void {
    if (this.#router.closed) return;
    noteCall(this.#context.metrics, 'router.close');
    this.#router.close();
  }
}
