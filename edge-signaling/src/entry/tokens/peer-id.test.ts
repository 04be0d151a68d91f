import { deriveKey } from '@plenary/cluster';
import { request, room } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { derivePeerId } from './peer-id.ts';

const KEY = deriveKey('a secret', 'peer-id');
const sessionKey = { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43) } as const;
const join = { subject: 'ann', roomId: room('r'), requestId: request('1'), sessionKey };

describe('derivePeerId', () => {
  it('[SE2] is the same for a repeated join, on every edge', () => {
    expect(derivePeerId(KEY, join)).toBe(derivePeerId(KEY, { ...join }));
  });

  it('[SE2] [TN1] differs with each part, with the secret, and with where one part ends', () => {
    const ids = [
      derivePeerId(KEY, join),
      derivePeerId(deriveKey('another', 'peer-id'), join),
      derivePeerId(KEY, { ...join, subject: 'bob' }),
      derivePeerId(KEY, { ...join, roomId: room('r2') }),
      derivePeerId(KEY, { ...join, roomId: room('r', 'other') }),
      derivePeerId(KEY, { ...join, requestId: request('2') }),
      derivePeerId(KEY, { ...join, sessionKey: { ...sessionKey, x: 'z'.repeat(43) } }),
      derivePeerId(KEY, { ...join, subject: 'ann","r' }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
