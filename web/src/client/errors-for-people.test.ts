import { ERROR_CODES } from '@plenary/cluster/errors';
import { describe, expect, test } from 'vitest';
import { errorForPeople } from './errors-for-people.ts';

/** The only codes whose text may call it a fault of the service. */
const FAULTS = ['internal'];

describe('errors for people', () => {
  test('[RJ6] each code has its own text', () => {
    const titles = ERROR_CODES.map((code) => errorForPeople(code).title);
    titles.push(errorForPeople('forbidden', { reason: 'origin' }).title);
    expect(new Set(titles).size).toBe(ERROR_CODES.length + 1);
    for (const code of ERROR_CODES) {
      for (const sentence of Object.values(errorForPeople(code))) {
        expect(sentence, code).toMatch(/^[A-Z“].{8,}[^ ]$/u);
        // The text for people names neither codes nor internals.
        expect(sentence, code).not.toMatch(/_|token|epoch|consumer|transport|schema/iu);
      }
    }
  });

  test.each(ERROR_CODES.filter((code) => !FAULTS.includes(code)))(
    '[RJ24] the text of %s does not call it a fault of the server',
    (code) => {
      expect(Object.values(errorForPeople(code)).join(' ')).not.toMatch(/\bfault\b|went wrong|crash/iu);
    },
  );
});
