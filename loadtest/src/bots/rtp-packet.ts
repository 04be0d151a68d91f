import { WITH_EXTENSION, writeRtpHeader } from '@plenary/cluster/testing/rtp-header';

/** One element of an RTP header extension in the one-byte form (RFC 8285): 1 to 16 bytes under an id of 1 to 14. */
export interface HeaderExtension {
  readonly id: number;
  readonly data: Uint8Array;
}

export interface RtpPacket {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly extensions: readonly HeaderExtension[];
  readonly payload: Uint8Array;
}

const HEADER_BYTES = 12;
const ONE_BYTE_PROFILE = 0xbede;

/** Writes a packet as RFC 3550, 5.1 lays it out. Sequence number and timestamp wrap around. */
export function writeRtp(packet: RtpPacket): Buffer {
  const elements = packet.extensions.reduce((sum, { data }) => sum + 1 + data.length, 0);
  const words = Math.ceil(elements / 4);
  const extensionBytes = words === 0 ? 0 : 4 + words * 4;
  const buffer = Buffer.alloc(HEADER_BYTES + extensionBytes + packet.payload.length);
  const { payloadType, ssrc, timestamp, marker: isMarked, sequenceNumber: sequence } = packet;
  const header = { payloadType, ssrc, sequence, timestamp, isMarked };
  writeRtpHeader(buffer, words === 0 ? header : { ...header, first: WITH_EXTENSION });
  if (words > 0) {
    buffer.writeUInt16BE(ONE_BYTE_PROFILE, HEADER_BYTES);
    buffer.writeUInt16BE(words, HEADER_BYTES + 2);
    let at = HEADER_BYTES + 4;
    for (const { id, data } of packet.extensions) {
      if (id < 1 || id > 14 || data.length < 1 || data.length > 16)
        throw new RangeError(`Extension ${id} does not fit into the one-byte form.`);
      buffer[at] = (id << 4) | (data.length - 1);
      buffer.set(data, at + 1);
      at += 1 + data.length;
    }
  }
  buffer.set(packet.payload, HEADER_BYTES + extensionBytes);
  return buffer;
}

/** The SSRC of an RTP packet; `undefined` for RTCP (RFC 5761, 4) and for other data. */
export function readRtpSsrc(packet: Buffer): number | undefined {
  if (packet.length < HEADER_BYTES || isRtcp(packet)) return undefined;
  return packet.readUInt32BE(8);
}

/** The RTP timestamp of a packet that has a stream ({@link readRtpSsrc}). */
export function readRtpTimestamp(packet: Buffer): number {
  return packet.readUInt32BE(4);
}

export function isRtcp(packet: Buffer): boolean {
  const type = packet[1] ?? 0;
  return packet.length >= 8 && type >= 192 && type <= 223;
}

const PAYLOAD_SPECIFIC_FEEDBACK = 206;
const PICTURE_LOSS = 1;
const FULL_INTRA_REQUEST = 4;

/** The SSRCs for which a compound RTCP packet requests a key frame, by PLI (RFC 4585) or FIR (RFC 5104). */
export function keyFramesAskedFor(compound: Buffer): number[] {
  const streams: number[] = [];
  for (let at = 0; at + 8 <= compound.length;) {
    const format = (compound[at] ?? 0) & 0x1f;
    const end = at + (compound.readUInt16BE(at + 2) + 1) * 4;
    if (compound[at + 1] === PAYLOAD_SPECIFIC_FEEDBACK && end <= compound.length) {
      if (format === PICTURE_LOSS && at + 12 <= end) streams.push(compound.readUInt32BE(at + 8));
      // A FIR names its streams in entries of eight bytes after the common header.
      for (let entry = at + 12; format === FULL_INTRA_REQUEST && entry + 8 <= end; entry += 8) {
        streams.push(compound.readUInt32BE(entry));
      }
    }
    at = end;
  }
  return streams;
}
