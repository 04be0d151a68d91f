import type { Redis } from 'ioredis';
import { withDeadline } from '../deadline.ts';
import { guardCallback, every } from '../process/guarded-callbacks.ts';
import { systemTimers } from '../process/timers.ts';

/** How often a connection is checked for a waiting command, in milliseconds. */
const LOOK_EVERY_MS = 250;

/**
 * Closes a connection that delivers nothing for a while although a command waits (SPEC HL2). The `socketTimeout` of
 * ioredis does the same, but also counts time in which this process was suspended (SPEC HL17).
 */
export function leaveSilent(redis: Redis, silentAfterMs: number): void {
  redis.on(
    'connect',
    guardCallback('store', () => watch(redis, silentAfterMs)),
  );
}

function watch(redis: Redis, silentAfterMs: number): void {
  const { stream } = redis;
  let isListening = false;
  const timer = every(LOOK_EVERY_MS, async () => {
    if (isListening || redis.commandQueue.length === 0) return;
    isListening = true;
    const heard = Promise.withResolvers<void>();
    const hear = guardCallback('store', heard.resolve);
    stream.once('data', hear);
    stream.once('close', hear);
    await withDeadline(systemTimers, silentAfterMs, heard.promise, () => {
      stream.destroy(new Error(`Socket timeout: a command waits, and nothing came for ${silentAfterMs} ms`));
    });
    stream.off('data', hear);
    stream.off('close', hear);
    isListening = false;
  });
  stream.once(
    'close',
    guardCallback('store', () => clearInterval(timer)),
  );
}
