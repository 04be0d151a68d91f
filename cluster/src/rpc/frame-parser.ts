import { Decoder, Encoder, PacketType } from 'socket.io-parser';
import { FrameFault, judgeFrame } from './frame.ts';
import type { FrameLimits, FrameReason } from './frame.ts';

export { FrameFault, MAX_FRAME_DEPTH, UnreadPayload } from './frame.ts';
export type { FrameReason } from './frame.ts';

export interface FrameParserOptions {
  /**
   * The direction that is read: a client's messages to a server (a namespace is entered once, nothing is
   * acknowledged), or a server's messages to its clients.
   */
  readonly reads: 'requests' | 'answers';
  /** The longest payload of one message, measured on its JSON: in UTF-16 units, or in the unit of `lengthOf`. */
  readonly maxLength: number;
  readonly lengthOf?: FrameLimits['lengthOf'];
  /** Called for each frame or payload that is not read. */
  readonly onRefused?: (reason: FrameReason) => void;
}

/** The `parser` option of a Socket.IO server or client: one that measures before it parses (SPEC EN1, EN17). */
export interface FrameParser {
  readonly Encoder: typeof Encoder;
  readonly Decoder: new () => Decoder;
}

export function createFrameParser({
  reads,
  maxLength,
  lengthOf,
  onRefused,
}: FrameParserOptions): FrameParser {
  const isServer = reads === 'requests';
  const limits: FrameLimits = {
    types: isServer ? '012' : '01234',
    maxLength,
    lengthOf,
    wellFormed: isServer,
  };

  /** A server has one for each connection, a client one for all its connections. */
  class MeasuringDecoder extends Decoder {
    #hasEntered = false;

    /** @throws FrameFault, and then Socket.IO closes the connection */
    override add(frame: unknown): void {
      try {
        this.#add(frame);
      } catch (thrown) {
        // The parser throws plain errors for invalid JSON or a wrong packet.
        const fault =
          thrown instanceof FrameFault ? thrown : new FrameFault('not_json', 'The packet is not JSON.');
        onRefused?.(fault.reason);
        throw fault;
      }
    }

    #add(frame: unknown): void {
      if (typeof frame !== 'string') throw new FrameFault('not_text', 'Binary frames are not taken.');
      const verdict = judgeFrame(frame, limits);
      if (verdict.read) {
        if (isServer && verdict.type === '0') {
          // If a connection entered the namespace twice, it would be two clients.
          if (this.#hasEntered) throw new FrameFault('twice', 'The namespace was entered already.');
          this.#hasEntered = true;
        }
        super.add(frame);
        return;
      }
      const { type, id, name, payload } = verdict;
      onRefused?.(payload.reason);
      const isEvent = type === '2';
      this.emitReserved('decoded', {
        type: isEvent ? PacketType.EVENT : PacketType.ACK,
        nsp: '/',
        data: isEvent ? [name ?? '', payload] : [payload],
        ...(id === undefined ? {} : { id }),
      });
    }
  }
  return { Encoder, Decoder: MeasuringDecoder };
}
