import { expect, it } from 'vitest';
import { slotOf } from './key-slot.ts';

// As `CLUSTER KEYSLOT` of Redis 7 answers.
it.each([
  ['123456789', 12_739],
  ['foo', 12_182],
  ['{foo}:bar', 12_182],
  ['a{foo}{b}', 12_182],
  ['{}foo', 9_500],
])('[ST6] %s is in slot %i of a Redis Cluster', (key, slot) => {
  expect(slotOf(key)).toBe(slot);
});
