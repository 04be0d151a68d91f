import { describe, expect, it } from 'vitest';
import { versioned } from './versioned.ts';

const answer = versioned(async (payload, _context: undefined) =>
  Promise.resolve({ ok: true, data: payload }),
);
const codeOf = async (payload: unknown): Promise<string> => {
  const reply = await answer(payload, undefined);
  return reply.ok ? 'handed on' : reply.error.code;
};

describe('the version of a request', () => {
  it('[PR11] is looked at first: whatever shape another version has, it is told so', async () => {
    for (const more of [{}, { token: 5 }, { media: null, session: [] }])
      for (const protocolVersion of [0, -1, 2, 99])
        expect(await codeOf({ protocolVersion, ...more })).toBe('protocol_version');
  });

  it('[PR11] that is served, or none, goes on to the schema', async () => {
    for (const payload of [
      { protocolVersion: 1 },
      { protocolVersion: '2' },
      { protocolVersion: 1.5 },
      {},
      null,
      'x',
      [],
    ])
      expect(await codeOf(payload)).toBe('handed on');
  });
});
