import ndc from 'node-datachannel';
import type { PeerConnection, Track } from 'node-datachannel';
import type { DtlsParameters, TransportOffer } from '@plenary/cluster/protocol';
import { answerFor, readDtlsParameters } from './sdp.ts';

/** Bots are for this machine only, unless told. */
const BIND_ADDRESS = '127.0.0.1';
const MID = '0';

/**
 * Every track ever made. node-datachannel 0.33.4 forgets none before `cleanup`, which closes them all, those too that
 * the garbage collector has freed meanwhile: SIGSEGV in TrackWrapper::CloseAll, seen from some 100 links on.
 */
const everyTrack: Track[] = [];

/** When a link reached a state, in milliseconds of `performance.now()`. */
export interface LinkTimes {
  readonly iceConnectedMs?: number;
  readonly dtlsConnectedMs?: number;
}

/**
 * One WebRTC transport of a bot: ICE, DTLS and SRTP by libdatachannel, RTP in and out as it is. Made before the join,
 * so that its certificate's fingerprint can travel in it.
 */
export class BotTransport {
  readonly dtlsParameters: DtlsParameters;
  /** Resolves when DTLS is done; rejects when the link fails or is closed before. */
  readonly connected: Promise<void>;
  readonly #connection: PeerConnection;
  readonly #track: Track;
  readonly #localOffer: string;
  #times: LinkTimes = {};
  #closed = false;
  #rejectConnected: (error: Error) => void = () => undefined;

  /**
   * @param onPacket - gets each RTP and RTCP packet, decrypted
   * @param bindAddress - the address of this machine that media goes by; the media node must reach it
   */
  constructor(
    name: string,
    direction: 'send' | 'receive',
    onPacket: (packet: Buffer) => void,
    bindAddress = BIND_ADDRESS,
  ) {
    this.#connection = new ndc.PeerConnection(name, {
      iceServers: [],
      bindAddress,
      disableAutoNegotiation: true,
      forceMediaTransport: true,
    });
    this.connected = new Promise((resolve, reject) => {
      this.#rejectConnected = reject;
      this.#connection.onStateChange((state) => {
        if (state === 'connected') {
          this.#times = { ...this.#times, dtlsConnectedMs: performance.now() };
          resolve();
        }
        if (state === 'failed' || state === 'closed')
          reject(new Error(`the ${direction} link of ${name} is ${state}`));
      });
    });
    // Who does not wait for the link is not to be ended by its failure.
    this.connected.catch(ignore);
    this.#connection.onIceStateChange((state) => {
      if (state === 'connected') this.#times = { iceConnectedMs: performance.now(), ...this.#times };
    });
    // One section for all streams, whatever their kind: libdatachannel then hands over every packet.
    const section = new ndc.Audio(MID, direction === 'send' ? 'SendOnly' : 'RecvOnly');
    section.addOpusCodec(100);
    this.#track = this.#connection.addTrack(section);
    everyTrack.push(this.#track);
    this.#track.onMessage(onPacket);
    this.#connection.setLocalDescription('offer');
    this.#localOffer = this.#connection.localDescription()?.sdp ?? '';
    this.dtlsParameters = readDtlsParameters(this.#localOffer);
  }

  get times(): LinkTimes {
    return this.#times;
  }

  /** Begins ICE towards the edge's transport. */
  open(transport: TransportOffer): void {
    this.#connection.setRemoteDescription(answerFor(this.#localOffer, transport), 'answer');
  }

  /** @returns false while the link is not up, or its buffer is full: the packet is lost, as on any link */
  send(packet: Buffer): boolean {
    return this.#track.isOpen() && this.#track.sendMessageBinary(packet);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectConnected(new Error('the link was closed'));
    this.#connection.close();
  }
}

function ignore(): void {
  // See where it is used.
}

/**
 * Ends libdatachannel's threads, without which the process would not end. Call it once, after all links were closed;
 * none can be made afterwards.
 */
export async function endMediaLinks(): Promise<void> {
  // Callbacks of closed links are still on their way from its threads; ending under them would abort the process.
  await new Promise((resolve) => setTimeout(resolve, 200));
  ndc.cleanup();
  everyTrack.length = 0;
}
