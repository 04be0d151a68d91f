import { ERROR_CODES } from '@plenary/cluster/errors';
import { describe, expect, test } from 'vitest';
import { errorForPeople } from './errors-for-people.ts';

/** What nobody decided: only this may be told as a fault of the service. */
const FAULTS = ['internal'];

describe('errors for people', () => {
  test('[RJ6] each code has words of its own', () => {
    const titles = ERROR_CODES.map((code) => errorForPeople(code).title);
    titles.push(errorForPeople('forbidden', { reason: 'origin' }).title);
    expect(new Set(titles).size).toBe(ERROR_CODES.length + 1);
    for (const code of ERROR_CODES) {
      for (const sentence of Object.values(errorForPeople(code))) {
        expect(sentence, code).toMatch(/^[A-Z“].{8,}[^ ]$/u);
        // What people read names no code, and nothing of how it is made.
        expect(sentence, code).not.toMatch(/_|token|epoch|consumer|transport|schema/iu);
      }
    }
  });

  test.each(ERROR_CODES.filter((code) => !FAULTS.includes(code)))(
    '[RJ24] %s is not told as a fault of the server',
    (code) => {
      expect(Object.values(errorForPeople(code)).join(' ')).not.toMatch(/\bfault\b|went wrong|crash/iu);
    },
  );
});
