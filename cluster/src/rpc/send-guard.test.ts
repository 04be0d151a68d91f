import { describe, expect, it } from 'vitest';
import { SendGuard } from './send-guard.ts';

const MAX_BYTES = 4_096;

describe('SendGuard', () => {
  it('[RL7] bounds the bytes that wait for a client, wherever they wait', () => {
    const guard = new SendGuard(MAX_BYTES);
    expect(guard.onPacket(MAX_BYTES)).toBe(true);
    guard.onFlush();
    expect(guard.onPacket(1)).toBe(false);
  });

  it('[RL7] bytes that the kernel took no longer count', () => {
    const guard = new SendGuard(MAX_BYTES);
    for (let round = 0; round < 10; round += 1) {
      expect(guard.onPacket(MAX_BYTES - 1)).toBe(true);
      guard.onFlush();
      expect(guard.onPacket(1)).toBe(true);
      guard.onDrain();
      guard.onFlush();
      guard.onDrain();
    }
  });
});
