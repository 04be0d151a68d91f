import { MAX_CONTROL_PACKET_BYTES } from '../protocol/edge-media.ts';
import { createFrameParser } from './frame-parser.ts';

/** How long one message on a control link may be: its frame parsers measure by this. */
export const CONTROL_MESSAGE_LIMIT = {
  maxLength: MAX_CONTROL_PACKET_BYTES,
  lengthOf: (text: string): number => Buffer.byteLength(text),
} as const;

/**
 * What every client end of a control link is opened with. The other end is another process of the cluster, and yet nothing
 * that it sends may end this one: what is too large closes the link, and what nests too deep is not parsed (SPEC EN1).
 */
export const CONTROL_LINK_LIMITS = {
  parser: createFrameParser({ reads: 'answers', ...CONTROL_MESSAGE_LIMIT }),
  /** Engine.IO hands it to its WebSocket, which would take 100 MiB. */
  maxPayload: MAX_CONTROL_PACKET_BYTES,
} as const;
