import { expect } from 'vitest';

/** Fails the test unless the example contains the text exactly once. */
export function replaceOnce(text: string, from: string, to: string): string {
  expect(text.split(from), from).toHaveLength(2);
  return text.replace(from, to);
}
