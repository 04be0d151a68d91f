import { describe, expect, it, vi } from 'vitest';
import { EvictionWatch } from './eviction-watch.ts';
import type { InfoServer } from './eviction-watch.ts';

const answerOf = (policy: string): string => `maxmemory:1000\r\nmaxmemory_policy:${policy}\r\n`;

/** A server of which a test decides what it is and answers. */
class ScriptedServer implements InfoServer {
  status: InfoServer['status'] = 'ready';
  answer: string | Error;

  constructor(answer: string | Error) {
    this.answer = answer;
  }
  info(): Promise<string> {
    return this.answer instanceof Error ? Promise.reject(this.answer) : Promise.resolve(this.answer);
  }
}

describe('EvictionWatch', () => {
  it('[HL59] reports the end of evictions only when every server has answered', async () => {
    const guilty = new ScriptedServer(answerOf('allkeys-lru'));
    const innocent = new ScriptedServer(answerOf('noeviction'));
    const logger = { info: vi.fn(), error: vi.fn() };
    const watch = new EvictionWatch(() => [innocent, guilty], logger);
    const look = async (): Promise<void> => {
      watch.check();
      await new Promise((resolve) => setImmediate(resolve));
    };
    await look();
    expect(logger.error).toHaveBeenCalledTimes(1);
    guilty.status = 'reconnecting';
    await look();
    guilty.status = 'ready';
    guilty.answer = new Error('NOPERM');
    await look();
    expect(logger.info).not.toHaveBeenCalled();
    guilty.answer = answerOf('allkeys-lru');
    await look();
    expect(logger.error).toHaveBeenCalledTimes(1);
    guilty.answer = answerOf('noeviction');
    await look();
    expect(logger.info).toHaveBeenCalledTimes(1);
    watch.stop();
  });
});
