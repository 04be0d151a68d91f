import { describe, expect, it } from 'vitest';
import { socketsByFileLimit } from './file-limit.ts';

const limits = (soft: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${soft}                 1048576              files\n`;

describe('the file limit', () => {
  it('[EN9] leaves files for what is no client', () => {
    expect(socketsByFileLimit(limits('1024'))).toBe(768);
    expect(socketsByFileLimit(limits('1048576'))).toBe(1_048_320);
    expect(socketsByFileLimit(limits('256'))).toBe(128);
    expect(socketsByFileLimit(limits('unlimited'))).toBe(999_744);
    expect(socketsByFileLimit('nothing of that kind')).toBe(3_840);
    expect(socketsByFileLimit()).toBeGreaterThan(0);
  });
});
