import { expect } from 'vitest';

/** @throws Error when the example no longer has what is to be replaced, or has it more than once */
export function replaceOnce(text: string, from: string, to: string): string {
  expect(text.split(from), from).toHaveLength(2);
  return text.replace(from, to);
}
