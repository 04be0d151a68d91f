import { describe, expect, it } from 'vitest';
import { withLineNumbers } from './testing/generate-tour.ts';

const FILES: Readonly<Record<string, string>> = { '../a.ts': 'first\nexport class A {}\n' };
const read = (path: string): string => FILES[path] ?? '';

describe('the tour', () => {
  it('gets the number of the line that each link names', () => {
    expect(withLineNumbers('see [`A`](../a.ts#L9 "export class A").', read)).toBe(
      'see [`A`](../a.ts#L2 "export class A").',
    );
  });

  it('fails where what a link names is gone', () => {
    expect(() => withLineNumbers('[`B`](../a.ts#L1 "export class B")', read)).toThrow(
      'no line of ../a.ts holds: export class B',
    );
  });
});
