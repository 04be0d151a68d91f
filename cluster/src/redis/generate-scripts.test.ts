import { describe, expect, it } from 'vitest';
import { limitLine, parseHeader, refuseOwnFigures } from './generate-scripts.ts';

const script = (header: string, body = 'return keys.counter + args.by') => `--[[\n${header}\n]]\n${body}\n`;
const GOOD = 'Adds one.\n\nKEYS[1] counter\nARGV[1] by - how much\nReturns the sum';

describe('parseHeader', () => {
  it('[ST5] reads purpose, keys, arguments and result', () => {
    expect(parseHeader('add-1.lua', script(GOOD))).toEqual({
      purpose: 'Adds one.',
      keys: ['counter'],
      args: ['by'],
      returns: 'Returns the sum',
    });
  });

  it('[ST15] refuses a header that is missing, miscounts keys, skips a number, or does not name just what the body uses', () => {
    expect(() => parseHeader('add-1.lua', 'return 1')).toThrow('has no header');
    expect(() => parseHeader('add-2.lua', script(GOOD))).toThrow('names 2 keys, its header 1');
    expect(() => parseHeader('add-1.lua', script(GOOD.replace('ARGV[1]', 'ARGV[2]')))).toThrow(
      'out of order',
    );
    expect(() => parseHeader('add-1.lua', script(GOOD.replace('Returns', 'Gives')))).toThrow(
      'what it returns',
    );
    expect(() => parseHeader('add-1.lua', script(GOOD, 'return keys.counter + args.much'))).toThrow(
      'uses args.much, which its header lacks',
    );
    expect(() => parseHeader('add-1.lua', script(GOOD, 'return args.by'))).toThrow(
      'does not use keys.counter',
    );
    expect(() => parseHeader('add-1.lua', script(GOOD, 'return KEYS[1] + args.by'))).toThrow(
      'says KEYS; scripts have keys.name and args.name',
    );
  });

  it('[ST16] limits in scripts are those of store-limits.ts', () => {
    expect(limitLine('EVENT_LOG_LENGTH', { EVENT_LOG_LENGTH: 1_000 })).toBe(
      'local EVENT_LOG_LENGTH = 1000\n',
    );
    expect(() => limitLine('EVENT_LOG_LENGHT', {})).toThrow('no limit EVENT_LOG_LENGHT');
  });

  it('[ST16] no script contains a literal limit or time, except factors for units of time', () => {
    expect(() => refuseOwnFigures('trim', 'if length > 1000 then trim() end -- not 64\n')).not.toThrow();
    expect(() => refuseOwnFigures('trim', 'local STEP = 50\n')).toThrow('trim: says 50; put it into');
    expect(() => refuseOwnFigures('wait', 'local REST_MS = 30000\n')).toThrow('says 30000');
  });
});
