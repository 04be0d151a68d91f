import { describe, expect, it } from 'vitest';
import { MAX_CONTROL_PACKET_BYTES } from '../protocol/edge-media.ts';
import { UnreadPayload } from '../rpc/frame.ts';
import { readRequest, requestText } from './link-messages.ts';

describe('messages on a control link', () => {
  it('[EN14] are read up to a limit in bytes', () => {
    const read = (bytes: number): unknown =>
      readRequest(requestText(1, 'peer.ask', 'é'.repeat(bytes / 2))).payload;
    // The quotes of the text count too.
    expect(read(MAX_CONTROL_PACKET_BYTES - 2)).toHaveLength(MAX_CONTROL_PACKET_BYTES / 2 - 1);
    expect(read(MAX_CONTROL_PACKET_BYTES)).toBeInstanceOf(UnreadPayload);
  });
});
