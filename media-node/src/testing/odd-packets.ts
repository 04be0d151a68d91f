import { WITH_EXTENSION, writeRtpHeader } from '@plenary/cluster/testing/rtp-header';
import type { RtpHeader } from '@plenary/cluster/testing/rtp-header';
import type { RandomSource } from '@plenary/cluster/testing/seeded-random';

/** A stream as its sender negotiated it. */
export interface OddStream {
  readonly payloadType: number;
  readonly ssrc: number;
  readonly codec: 'audio/opus' | 'video/VP8' | 'video/VP9' | 'video/H264';
  /** Ids of its header extensions. */
  readonly extensionIds: readonly number[];
}

/** An RTP packet whose header extensions are in the long form of RFC 8285, where they may be empty. */
export function longForm(
  { payloadType, ssrc }: Pick<OddStream, 'payloadType' | 'ssrc'>,
  sequence: number,
  elements: readonly (readonly [id: number, value: Uint8Array])[],
  payload: Uint8Array,
): Buffer {
  const used = Buffer.concat(
    elements.map(([id, value]) => Buffer.concat([Buffer.from([id, value.length]), value])),
  );
  return rtp(
    { payloadType, ssrc, sequence, timestamp: sequence * 900, first: WITH_EXTENSION, isMarked: true },
    [extension(0x1000, used, Math.ceil(used.length / 4)), payload],
  );
}

function rtp(header: RtpHeader, rest: readonly Uint8Array[]): Buffer {
  return Buffer.concat([writeRtpHeader(Buffer.alloc(12), header), ...rest]);
}

function extension(profile: number, used: Buffer, words: number): Buffer {
  const whole = Buffer.alloc(4 + Math.ceil(used.length / 4) * 4);
  whole.writeUInt16BE(profile, 0);
  whole.writeUInt16BE(words, 2);
  used.copy(whole, 4);
  return whole;
}

/** Creates packets that a sender may send on its streams: mostly well-formed, at the limit, or slightly beyond it. */
export class OddPackets {
  readonly #random: RandomSource;
  readonly #sequences = new Map<number, number>();
  #timestamp = 0;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  rtp(stream: OddStream): Buffer {
    const { ssrc, payloadType } = stream;
    const sequence =
      (this.#sequences.get(ssrc) ?? 0) + this.#pick([1, 1, 1, 1, 1, 0, 2, 400, 30_000, 65_535]);
    this.#sequences.set(ssrc, sequence & 0xffff);
    this.#timestamp += this.#pick([0, 960, 3_000, 3_000, 90_000, 2 ** 31, -3_000]);
    const sources = this.#chance(8) ? this.#below(16) : 0;
    const hasExtension = !this.#chance(5);
    const isPadded = this.#chance(8);
    const packet = rtp(
      {
        ssrc,
        payloadType: this.#chance(40) ? this.#below(128) : payloadType,
        sequence,
        timestamp: this.#timestamp,
        first: 0x80 | (isPadded ? 0x20 : 0) | (hasExtension ? 0x10 : 0) | sources,
        isMarked: this.#pick([false, true]),
      },
      [
        Buffer.alloc(4 * sources),
        hasExtension ? this.#extension(stream) : Buffer.alloc(0),
        this.#payload(stream),
        isPadded ? Buffer.from([0, 0, 0, this.#pick([0, 1, 2, 4, 255])]) : Buffer.alloc(0),
      ],
    );
    return this.#spoilt(packet, 12);
  }

  /** A compound packet about these streams. */
  rtcp(ssrcs: readonly number[]): Buffer {
    const parts = Array.from({ length: 1 + this.#below(4) }, () => {
      const body = this.#bytes(4 * this.#below(24));
      const part = Buffer.concat([Buffer.alloc(12), body]);
      part[0] = 0x80 | this.#pick([0, 1, 2, 4, 5, 15, 31]);
      part[1] = this.#pick([192, 200, 201, 202, 203, 204, 205, 205, 205, 206, 206, 206, 207]);
      part.writeUInt16BE(this.#chance(30) ? this.#below(70) : part.length / 4 - 1, 2);
      part.writeUInt32BE(this.#pick([1, ...ssrcs]), 4);
      part.writeUInt32BE(this.#pick([0, ...ssrcs]), 8);
      if (part[1] === 206 && part.length >= 20 && this.#chance(3)) part.write('REMB', 12);
      return part;
    });
    return this.#spoilt(Buffer.concat(parts), 8);
  }

  #extension({ extensionIds }: OddStream): Buffer {
    const isLong = this.#chance(2);
    const elements: Buffer[] = extensionIds
      .filter(() => this.#chance(2))
      .flatMap((id) => {
        const value = this.#bytes(this.#pick([0, 1, 2, 3, 3, 4, 8, 16, isLong ? this.#below(200) : 5]));
        if (isLong) return [Buffer.concat([Buffer.from([id, value.length]), value])];
        if (value.length === 0 || value.length > 16 || id > 14) return [];
        return [Buffer.concat([Buffer.from([(id << 4) | (value.length - 1)]), value])];
      });
    if (this.#chance(10)) elements.push(this.#bytes(this.#below(8)));
    const used = Buffer.concat(elements);
    const words = this.#chance(40) ? this.#below(300) : Math.ceil(used.length / 4);
    return extension(isLong ? 0x1000 | this.#below(16) : 0xbede, used, words);
  }

  /** The payload descriptor of a codec is the first part that a worker reads. */
  #payload({ codec }: OddStream): Buffer {
    if (this.#chance(20)) return this.#bytes(this.#below(4));
    const rest = this.#bytes(this.#below(120));
    switch (codec) {
      case 'audio/opus':
        return rest;
      case 'video/VP8': {
        const first = Buffer.from([this.#pick([0x90, 0x80, 0x10, 0x00, this.#below(256)]), this.#below(256)]);
        return Buffer.concat([first, this.#bytes(this.#below(6)), rest]);
      }
      case 'video/VP9':
        return Buffer.concat([this.#bytes(1 + this.#below(12)), rest]);
      case 'video/H264':
        return Buffer.concat([Buffer.from([this.#pick([0x65, 0x67, 0x78, 0x7c, 0x5c, 0x41])]), rest]);
    }
  }

  #spoilt(packet: Buffer, fixed: number): Buffer {
    if (this.#chance(15)) packet[this.#below(packet.length)] = this.#below(256);
    if (!this.#chance(40)) return packet;
    return packet.subarray(0, fixed + this.#below(Math.max(1, packet.length - fixed)));
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#below(256)));
  }

  #chance(oneIn: number): boolean {
    return this.#below(oneIn) === 0;
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  #pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.#below(items.length)] ?? items[0];
  }
}
