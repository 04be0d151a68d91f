import { describe, expect, it } from 'vitest';
import { compareVersions, nodeFits } from './versions.mjs';

describe('compareVersions', () => {
  it.each([
    ['2.36', '2.38', -1],
    ['2.4', '2.38', -1],
    ['2.41', '2.38', 1],
    ['1.21', '1.21.0', 0],
    ['v24.2.0', '24.10.0', -1],
    ['go1.26.8', '1.21', 1],
    ['3.0.0-beta', '3.0.0', 0],
    ['2.36-9+deb12u14', '2.36', 0],
  ])('%s against %s', (left, right, expected) => {
    expect(Math.sign(compareVersions(left, right))).toBe(expected);
    expect(Math.sign(compareVersions(right, left))).toBe(expected === 0 ? 0 : -expected);
  });
});

describe('nodeFits', () => {
  it.each([
    ['24.0.0', true],
    ['v25.1.0', true],
    ['22.12.0', false],
    ['26.0.0', false],
    ['240.0.0', false],
  ])('%s: %s', (version, expected) => {
    expect(nodeFits(version)).toBe(expected);
  });
});
