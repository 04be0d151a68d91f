/** The fixed header of an RTP packet (RFC 3550, 5.1). */
export interface RtpHeader {
  readonly payloadType: number;
  readonly ssrc: number;
  /** Wraps around. */
  readonly sequence: number;
  /** Wraps around. */
  readonly timestamp: number;
  readonly isMarked?: boolean;
  /** Version, padding, extension and number of sources; by default a packet that has none of them. */
  readonly first?: number;
}

/** The first byte of a packet with a header extension. */
export const WITH_EXTENSION = 0x90;

/**
 * Writes the header into the first twelve bytes of a packet. By hand: packages such as `werift-rtp` write only what is well-formed, as
 * their own class, and the tests need what is not.
 * @returns the packet
 */
export function writeRtpHeader(packet: Buffer, header: RtpHeader): Buffer {
  const { payloadType, ssrc, sequence, timestamp, isMarked = false, first = 0x80 } = header;
  packet[0] = first;
  packet[1] = (isMarked ? 0x80 : 0) | payloadType;
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE(timestamp >>> 0, 4);
  packet.writeUInt32BE(ssrc >>> 0, 8);
  return packet;
}
