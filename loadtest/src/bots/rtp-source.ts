import { randomInt } from 'node:crypto';
import type { MediaKind } from '@plenary/cluster/protocol';
import type { HeaderExtension } from './rtp-packet.ts';
import { writeRtp } from './rtp-packet.ts';
import { OPUS_TONE_FRAMES, VP8_FRAMES } from './stored-payloads.generated.ts';

/** Opus that decodes to 20 ms of silence: the frame that Opus encoders make of digital silence in CELT mode. */
const OPUS_SILENCE = Uint8Array.of(0xf8, 0xff, 0xfe);
/** VP8 payload descriptor (RFC 7741, 4.2): begins partition 0, nothing optional. */
const VP8_DESCRIPTOR = Uint8Array.of(0x10);
/** Loudness of the stored tone as RFC 6464 writes it: voice, −12 dBov. */
const TONE_LEVEL = Uint8Array.of(0x80 | 12);
const SILENCE_LEVEL = Uint8Array.of(127);

export interface RtpSourceOptions {
  readonly kind: MediaKind;
  readonly payloadType: number;
  readonly ssrc: number;
  readonly clockRate: number;
  /** The time between two frames, in milliseconds. One frame is one packet here. */
  readonly intervalMs: number;
  /** Audio only: the stored tone, or silence. */
  readonly sound?: 'tone' | 'silence';
  /**
   * Video only: the size to which smaller payloads are padded, so that the bitrate is known. A decoder ignores the bytes
   * after the picture.
   */
  readonly payloadBytes?: number;
  /** Header extension ids, as published. */
  readonly extensionIds: { readonly mid?: number; readonly audioLevel?: number };
  readonly mid: string;
}

const TONE = OPUS_TONE_FRAMES.map((frame) => Buffer.from(frame, 'base64'));
const PICTURES = VP8_FRAMES.map((frame) => Buffer.concat([VP8_DESCRIPTOR, Buffer.from(frame, 'base64')]));

/** Builds one stream's packets from the stored frames, in an endless loop. It has no timer. */
export class RtpSource {
  readonly ssrc: number;
  readonly intervalMs: number;
  readonly #options: RtpSourceOptions;
  readonly #mid: Uint8Array;
  #sequenceNumber = randomInt(0x1_0000);
  #timestamp = randomInt(0x1_0000_0000);
  #frame = 0;

  constructor(options: RtpSourceOptions) {
    this.#options = options;
    this.ssrc = options.ssrc;
    this.intervalMs = options.intervalMs;
    this.#mid = Buffer.from(options.mid);
  }

  /** The next packet is a key frame. */
  restart(): void {
    this.#frame = 0;
  }

  next(): Buffer {
    const { kind, payloadType, ssrc, clockRate, intervalMs } = this.#options;
    const packet = writeRtp({
      payloadType,
      // Video: the last packet of a frame. Audio: the first after a silence, of which there is none.
      marker: kind === 'video',
      sequenceNumber: this.#sequenceNumber,
      timestamp: this.#timestamp,
      ssrc,
      extensions: this.#extensions(),
      payload: this.#payload(),
    });
    this.#sequenceNumber += 1;
    this.#timestamp += Math.round((clockRate * intervalMs) / 1_000);
    this.#frame += 1;
    return packet;
  }

  #payload(): Uint8Array {
    const { kind, sound, payloadBytes = 0 } = this.#options;
    if (kind === 'audio' && sound !== 'tone') return OPUS_SILENCE;
    const frames = kind === 'video' ? PICTURES : TONE;
    const frame = frames[this.#frame % frames.length] ?? OPUS_SILENCE;
    if (kind === 'audio' || frame.length >= payloadBytes) return frame;
    return Buffer.concat([frame], payloadBytes);
  }

  #extensions(): HeaderExtension[] {
    const { kind, sound, extensionIds } = this.#options;
    const extensions: HeaderExtension[] = [];
    if (extensionIds.mid !== undefined) extensions.push({ id: extensionIds.mid, data: this.#mid });
    if (kind === 'audio' && extensionIds.audioLevel !== undefined) {
      extensions.push({ id: extensionIds.audioLevel, data: sound === 'tone' ? TONE_LEVEL : SILENCE_LEVEL });
    }
    return extensions;
  }
}
