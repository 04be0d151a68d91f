import { describe, expect, it } from 'vitest';
import { createFrameParser, FrameFault, MAX_FRAME_DEPTH, UnreadPayload } from './frame-parser.ts';
import type { FrameReason } from './frame-parser.ts';

interface Read {
  readonly packets: { readonly type: number; readonly id?: number | undefined; readonly data?: unknown }[];
  readonly refused: FrameReason[];
  readonly fault: FrameReason | undefined;
}

/** The messages that a decoder reads from the frames of one connection, up to the frame that closes it. */
function read(frames: readonly unknown[], reads: 'requests' | 'answers' = 'requests'): Read {
  const refused: FrameReason[] = [];
  const { Decoder } = createFrameParser({
    reads,
    maxLength: 1_000,
    onRefused: (reason) => refused.push(reason),
  });
  const decoder = new Decoder();
  const packets: Read['packets'] = [];
  decoder.on('decoded', (packet) => packets.push(packet));
  try {
    for (const frame of frames) decoder.add(frame);
  } catch (fault) {
    if (!(fault instanceof FrameFault)) throw fault;
    return { packets, refused, fault: fault.reason };
  }
  return { packets, refused, fault: undefined };
}

/** The error code that replaces the payload of one message. */
function codeOf(frame: string, reads: 'requests' | 'answers' = 'requests'): string {
  const { packets, fault } = read([frame], reads);
  if (fault !== undefined) return `closed: ${fault}`;
  const data = packets[0]?.data;
  const payload: unknown = Array.isArray(data) ? data.at(-1) : undefined;
  return payload instanceof UnreadPayload ? payload.code : 'read';
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('the frame parser', () => {
  it('[EN1] reads a valid frame as the parser of Socket.IO does', () => {
    const text = String.raw`{"text":"hé \"[{ 😀 \\"}`;
    expect(read(['0', `27["chat.post",${text}]`, '2["leave",{}]', '1'])).toEqual({
      packets: [
        { type: 0, nsp: '/' },
        { type: 2, nsp: '/', id: 7, data: ['chat.post', { text: 'hé "[{ 😀 \\' }] },
        { type: 2, nsp: '/', data: ['leave', {}] },
        { type: 1, nsp: '/' },
      ],
      refused: [],
      fault: undefined,
    });
    expect(codeOf('31[{"ok":true}]', 'answers')).toBe('read');
  });

  it('[EN14] measures in bytes if the limit is in bytes', () => {
    const lengthOf = (text: string): number => Buffer.byteLength(text);
    const codes = (characters: number) =>
      [false, true].map((inBytes) => {
        const { Decoder } = createFrameParser({
          reads: 'requests',
          maxLength: 1_000,
          ...(inBytes ? { lengthOf } : {}),
        });
        const decoder = new Decoder();
        let payload: unknown;
        decoder.on('decoded', ({ data }) => {
          payload = Array.isArray(data) ? data.at(-1) : undefined;
        });
        decoder.add(`20["edge.check","${'é'.repeat(characters)}"]`);
        return payload instanceof UnreadPayload ? payload.code : 'read';
      });
    expect(codes(499)).toEqual(['read', 'read']);
    expect(codes(500)).toEqual(['read', 'message_too_large']);
    expect(codes(999)).toEqual(['message_too_large', 'message_too_large']);
  });

  it('[EN15] does not parse a payload that nests too deep or is too long, and lets the message be answered', () => {
    expect(codeOf(`20["edge.check",${nested(MAX_FRAME_DEPTH - 1)}]`)).toBe('read');
    expect(codeOf(`20["edge.check",${nested(MAX_FRAME_DEPTH)}]`)).toBe('malformed_message');
    expect(codeOf(`20["edge.check",${nested(6_000)}]`)).toBe('message_too_large');
    expect(codeOf(`20["edge.check",${'{"a":'.repeat(MAX_FRAME_DEPTH)}1${'}'.repeat(MAX_FRAME_DEPTH)}]`)).toBe(
      'malformed_message',
    );
    expect(codeOf(`30[${nested(MAX_FRAME_DEPTH)}]`, 'answers')).toBe('malformed_message');
    // Brackets inside a text do not count as nesting.
    expect(codeOf(`20["chat.post","${'['.repeat(500)}"]`)).toBe('read');
    expect(codeOf(`20["chat.post","${'x'.repeat(998)}"]`)).toBe('read');
    expect(codeOf(`20["chat.post","${'x'.repeat(999)}"]`)).toBe('message_too_large');
  });

  it('[EN15] does not parse half a surrogate pair of a client, which no store would keep', () => {
    for (const text of ['\\ud83d', '\\ude00', '\\ud83dx', '\\ud83d\\ud83d', '\\uD83D\\u0041', 'a\\udfff']) {
      expect(codeOf(`20["chat.post","${text}"]`)).toBe('malformed_message');
      expect(codeOf(`20["chat.post","${text}"]`, 'answers')).toBe('read');
    }
    for (const text of ['\\ud83d\\ude00', '\\uD83D\\uDE00', '\\\\ud83d', '\\u00d8']) {
      expect(codeOf(`20["chat.post","${text}"]`)).toBe('read');
    }
  });

  it('[EN2] a message without a usable name is answered as unknown', () => {
    for (const payload of [
      '[]',
      '[7,{}]',
      '[null]',
      '["",{}]',
      '["__proto__",{}]',
      '["a\\u0062",{}]',
      '["connect",{}]',
      '["disconnect",{}]',
      '["error",{}]',
      '["newListener",{}]',
      `["${'x'.repeat(65)}",{}]`,
    ]) {
      expect(codeOf(`29${payload}`)).toBe('unknown_message');
    }
  });

  it('[EN17] a frame that is no packet closes the connection', () => {
    const faults = (frame: unknown): FrameReason | undefined => read(['0', frame]).fault;
    for (const frame of ['', 'x', '3[]', '34[{}]', '4{}', '7[]', '-1', '{'])
      expect(faults(frame)).toBe('type');
    for (const frame of ['51-["x"]', '5-["x"]', '510000-[', '60-[]']) expect(faults(frame)).toBe('binary');
    for (const frame of ['0/admin', '2/admin,["x"]', '1/x,']) expect(faults(frame)).toBe('namespace');
    for (const frame of ['2', '2{}', '2x', '2 ["x"]', '21', '2["join",', '2["join",{]', '1{}']) {
      expect(faults(frame)).toBe('not_json');
    }
    for (const frame of [
      '29007199254740992["x"]',
      '299999999999999999999["x"]',
      `2${'9'.repeat(500)}["x"]`,
      '207["x"]',
      '01',
    ]) {
      expect(faults(frame)).toBe('ack_number');
    }
    expect(faults(new Uint8Array([1]))).toBe('not_text');
    expect(faults('0')).toBe('twice');
    expect(read([`0${nested(MAX_FRAME_DEPTH + 1)}`]).fault).toBe('too_deep');
    expect(read([`0{"a":"${'x'.repeat(1_000)}"}`]).fault).toBe('too_long');
    expect(read(['3[]'], 'answers').fault).toBe('ack_number');
  });

  it('[EN18] the largest acknowledgement number is returned unchanged', () => {
    expect(read([`2${Number.MAX_SAFE_INTEGER}["x"]`]).packets[0]?.id).toBe(Number.MAX_SAFE_INTEGER);
    expect(read(['20["x"]']).packets[0]?.id).toBe(0);
  });

  it('[EN19] counts the frames that it does not read, by a closed set of reasons', () => {
    expect(read(['0', `2["a",${nested(40)}]`, '2[7]', '0']).refused).toEqual(['too_deep', 'name', 'twice']);
  });
});
