import { Decoder, Encoder, PacketType } from 'socket.io-parser';
import { FrameFault, judgeFrame } from './frame.ts';
import type { FrameLimits, FrameReason } from './frame.ts';

export { FrameFault, MAX_FRAME_DEPTH, UnreadPayload } from './frame.ts';
export type { FrameReason } from './frame.ts';

export interface FrameParserOptions {
  /**
   * What is read: what clients send to a server (a namespace is entered once, nothing is acknowledged), or what a server sends
   * to its clients.
   */
  readonly reads: 'requests' | 'answers';
  /** Longest payload of one message, of its JSON: in UTF-16 units, or in what `lengthOf` measures by. */
  readonly maxLength: number;
  readonly lengthOf?: FrameLimits['lengthOf'];
  /** Told of each frame or payload that is not read. */
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

  /** One for each connection of a server, one for all connections of a client. */
  class MeasuringDecoder extends Decoder {
    #hasEntered = false;

    /** @throws FrameFault, upon which Socket.IO closes the connection */
    override add(frame: unknown): void {
      try {
        this.#add(frame);
      } catch (thrown) {
        // The parser throws plain errors where a text is no JSON, or no packet of its type.
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
          // Entered twice at once, one connection would be two clients.
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
