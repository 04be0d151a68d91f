import { describe, expect, it } from 'vitest';
import { fileSink, LogOutput } from './log-output.ts';
import { createLogger } from './logging.ts';

const IDENTITY = { kind: 'edge', id: 'edge-1', datacenter: 'gra' } as const;

/** A file that takes what its limits say, one write after the other, and everything after them. */
function fileOf(limits: (number | 'full')[]) {
  const file = { text: '' };
  const write = (_descriptor: number, data: Uint8Array): number => {
    const limit = limits.shift() ?? data.byteLength;
    if (limit === 'full') throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    file.text += Buffer.from(data.buffer, data.byteOffset, Math.min(limit, data.byteLength)).toString();
    return Math.min(limit, data.byteLength);
  };
  return { file, sink: fileSink(1, write) };
}

describe('the output of a log', () => {
  it('[LC7] loses lines while a disk is full, counts them, and says so when there is room again', () => {
    const { file, sink } = fileOf(['full', 'full']);
    const output = new LogOutput(sink);
    const logger = createLogger(IDENTITY, 'info', output);
    logger.info('first');
    let lost = 0;
    output.onLost(() => {
      lost += 1;
    });
    logger.fatal('second');
    expect(lost).toBe(2);
    logger.info('third');
    const lines = file.text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { msg: 'third' },
      { level: 'warn', lost: 2 },
    ]);
    expect(lost).toBe(2);
  });

  it('[LC7] begins a new line after one that was cut off', () => {
    const { file, sink } = fileOf([4, 'full']);
    expect([sink.write('{"first":1}\n'), sink.write('{"second":2}\n')]).toEqual([false, true]);
    expect(file.text).toBe('{"fi\n{"second":2}\n');
  });

  it('[LC8] is plain text, whatever it says, and means the same', () => {
    const { file, sink } = fileOf([]);
    const said = 'a\u202eb\u009b31m\u2028c\u2029\u0085\u200b\u{e0041}\u001b\n\u007fé😀';
    createLogger({ ...IDENTITY, datacenter: said }, 'info', new LogOutput(sink)).warn(
      { origin: said, [said]: 1, err: new Error(said) },
      said,
    );
    expect(file.text).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u);
    expect(JSON.parse(file.text)).toMatchObject({ origin: said, [said]: 1, msg: said, datacenter: said });
  });
});
