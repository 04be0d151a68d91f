import { request, room } from '@plenary/cluster/testing/samples';
import { describe, expect, it } from 'vitest';
import { derivePeerId } from './peer-id.ts';

const SECRET = 'a secret';
const sessionKey = { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43) } as const;
const join = { subject: 'ann', roomId: room('r'), requestId: request('1'), sessionKey };

describe('derivePeerId', () => {
  it('[SE2] is the same for a repeated join, on every edge', () => {
    expect(derivePeerId(SECRET, join)).toBe(derivePeerId(SECRET, { ...join }));
  });

  it('[SE2] differs with each part, with the secret, and with where one part ends', () => {
    const ids = [
      derivePeerId(SECRET, join),
      derivePeerId('another', join),
      derivePeerId(SECRET, { ...join, subject: 'bob' }),
      derivePeerId(SECRET, { ...join, roomId: room('r2') }),
      derivePeerId(SECRET, { ...join, requestId: request('2') }),
      derivePeerId(SECRET, { ...join, sessionKey: { ...sessionKey, x: 'z'.repeat(43) } }),
      derivePeerId(SECRET, { ...join, subject: 'ann","r' }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
