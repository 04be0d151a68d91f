import ndc from 'node-datachannel';
import type { PeerConnection, Track } from 'node-datachannel';
import type { DtlsParameters, TransportOffer } from '@plenary/cluster/protocol';
import { answerFor, readDtlsParameters } from './sdp.ts';

/** Bots only connect within this machine by default. */
const BIND_ADDRESS = '127.0.0.1';
const MID = '0';

/**
 * Every track ever made. node-datachannel 0.33.4 keeps all of them until `cleanup`, which closes them all, even those that
 * the garbage collector has freed: SIGSEGV in TrackWrapper::CloseAll, seen from some 100 links on.
 */
const everyTrack: Track[] = [];

/** When a transport reached its states, in milliseconds of `performance.now()`. */
export interface LinkTimes {
  readonly iceConnectedMs?: number;
  readonly dtlsConnectedMs?: number;
}

/**
 * One WebRTC transport of a bot: libdatachannel does ICE, DTLS and SRTP, and RTP passes unchanged. It is made before the join,
 * which carries its certificate's fingerprint.
 */
export class BotTransport {
  readonly dtlsParameters: DtlsParameters;
  /** Resolves when DTLS is done; rejects if the transport fails or is closed before. */
  readonly connected: Promise<void>;
  readonly #connection: PeerConnection;
  readonly #track: Track;
  readonly #localOffer: string;
  #times: LinkTimes = {};
  #closed = false;
  #rejectConnected: (error: Error) => void = () => undefined;

  /**
   * @param onPacket - gets each RTP and RTCP packet, decrypted
   * @param bindAddress - the address of this machine that the transport uses; the media node must reach it
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
    // A caller that does not await the connection must not be ended by its failure.
    this.connected.catch(ignore);
    this.#connection.onIceStateChange((state) => {
      if (state === 'connected') this.#times = { iceConnectedMs: performance.now(), ...this.#times };
    });
    // All streams share one media section, because libdatachannel then hands over every packet.
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

  /** Starts ICE towards the edge's transport. */
  open(transport: TransportOffer): void {
    this.#connection.setRemoteDescription(answerFor(this.#localOffer, transport), 'answer');
  }

  /** @returns false if the transport is not connected or its buffer is full; the packet is then lost */
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
  // The comment at its use says why.
}

/**
 * Ends libdatachannel's threads, which would keep the process running. Call it once, after all transports were closed;
 * none can be made afterwards.
 */
export async function endMediaLinks(): Promise<void> {
  // Callbacks of closed transports may still be pending in its threads; ending the threads then would abort the process.
  await new Promise((resolve) => setTimeout(resolve, 200));
  ndc.cleanup();
  everyTrack.length = 0;
}
