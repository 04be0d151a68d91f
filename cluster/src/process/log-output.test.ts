import { describe, expect, it, vi } from 'vitest';
import { LogOutput } from './log-output.ts';
import { createLogger } from './logging.ts';

const IDENTITY = { kind: 'edge', id: 'edge-1', datacenter: 'gra' } as const;

/** A file that accepts as many bytes of each write as its limits say, and after them everything. */
function fileOf(limits: (number | 'ENOSPC' | 'EAGAIN')[]) {
  const file = { text: '' };
  const write = (data: Uint8Array): number => {
    const limit = limits.shift() ?? data.byteLength;
    if (typeof limit === 'string') throw Object.assign(new Error('not now'), { code: limit });
    file.text += Buffer.from(data.buffer, data.byteOffset, Math.min(limit, data.byteLength)).toString();
    return Math.min(limit, data.byteLength);
  };
  return { file, output: new LogOutput(write) };
}

describe('the output of a log', () => {
  it('[LC7] [LC17] loses lines while a disk is full, counts them, and logs their number when there is room again', () => {
    const { file, output } = fileOf(['ENOSPC', 'ENOSPC']);
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

  it('[LC20] begins a new line after one that was cut off', () => {
    const { file, output } = fileOf([4, 'ENOSPC', 'ENOSPC', 1, 'ENOSPC']);
    for (let line = 1; line <= 4; line += 1) output.write(`{"line":${line}}\n`);
    expect(file.text).toBe('{"li\n{"line":4}\n');
  });

  it('[LC17] counts the line about lost lines as one more if it is lost itself', () => {
    const { file, output } = fileOf(['ENOSPC', 'ENOSPC', 1_000, 'ENOSPC']);
    const logger = createLogger(IDENTITY, 'info', output);
    for (const name of ['first', 'second', 'third', 'fourth']) logger.info(name);
    const lines = file.text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { msg: 'third' },
      { msg: 'fourth' },
      { level: 'warn', lost: 3 },
    ]);
  });

  it('[LC18] continues the line that a slow reader took in part, and keeps the newest lines for it', () => {
    vi.useFakeTimers();
    const full = Array<'EAGAIN'>(40).fill('EAGAIN');
    const { file, output } = fileOf([5, ...full]);
    const logger = createLogger(IDENTITY, 'info', output);
    let lost = 0;
    output.onLost(() => {
      lost += 1;
    });
    const filling = 'x'.repeat(100_000);
    for (let line = 0; line < 20; line += 1) logger.info({ line, filling });
    expect(file.text).toHaveLength(5);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(20 * full.length);
    const lines = file.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lost).toBe(10);
    expect(lines[0]).toMatchObject({ line: 0 });
    expect(lines[1]).toMatchObject({ level: 'warn', lost: 10 });
    expect(lines.slice(2)).toMatchObject(Array.from({ length: 9 }, (_, index) => ({ line: 11 + index })));
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it('[LC8] is plain text for any content, with the same meaning', () => {
    const { file, output } = fileOf([]);
    const said = 'a\u202eb\u009b31m\u2028c\u2029\u0085\u200b\u{e0041}\u001b\n\u007fé😀';
    createLogger({ ...IDENTITY, datacenter: said }, 'info', output).warn(
      { origin: said, [said]: 1, err: new Error(said) },
      said,
    );
    expect(file.text).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u);
    expect(JSON.parse(file.text)).toMatchObject({ origin: said, [said]: 1, msg: said, datacenter: said });
  });
});
