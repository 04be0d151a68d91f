import { MAX_CONTROL_PACKET_BYTES } from '../protocol/edge-media.ts';
import { createFrameParser } from './frame-parser.ts';

/** The longest message on a control link; its frame parsers measure with it. */
export const CONTROL_MESSAGE_LIMIT = {
  maxLength: MAX_CONTROL_PACKET_BYTES,
  lengthOf: (text: string): number => Buffer.byteLength(text),
} as const;

/**
 * Options for every client end of a control link. The other end is a process of the cluster, but its messages must
 * not end this one: a message that is too large closes the link, and one that nests too deep is not parsed (SPEC
 * EN1).
 */
export const CONTROL_LINK_LIMITS = {
  parser: createFrameParser({ reads: 'answers', ...CONTROL_MESSAGE_LIMIT }),
  /** Engine.IO passes it to its WebSocket, which would otherwise accept 100 MiB. */
  maxPayload: MAX_CONTROL_PACKET_BYTES,
} as const;
