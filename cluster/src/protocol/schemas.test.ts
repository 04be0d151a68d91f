import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RecordedStrings } from '../testing/recorded-strings.ts';
import { looseStrings } from '../testing/schema-walk.ts';
import { CHAT_TEXT } from './room.ts';
import { LINES } from './text.ts';

const isLines = (pattern: RegExp): boolean => pattern.source === LINES.source;
const faultsOf = (schema: z.ZodType): string[] => looseStrings({ name: 'it', schema }, isLines);

describe('schemas', () => {
  it('[MS1] the check sees the final schema of every string, wherever it is kept', () => {
    const strings = new RecordedStrings();
    const recording = strings.recording(z);
    const inner = recording.string().max(5);
    expect(recording.object({ list: recording.array(inner.regex(/^[a-z]+$/)) }).safeParse({}).success).toBe(
      false,
    );
    expect(recording.record(recording.string(), recording.int()).parse({ a: 1 })).toEqual({ a: 1 });
    const faults = strings.schemas.flatMap(({ schema }) => looseStrings({ name: 'it', schema }, isLines));
    expect(strings.schemas.map(({ name }) => /[^/]+(?=:\d+$)/.exec(name)?.[0])).toEqual([
      'schemas.test.ts',
      'schemas.test.ts',
    ]);
    expect(faults).toEqual(['it: has no maximum length']);
  });

  it('[MS1] the check finds an unbounded string at any depth', () => {
    const deep = z.object({ list: z.array(z.union([z.int(), z.string().max(10)]).optional()) });
    expect(faultsOf(deep)).toEqual([expect.stringContaining('has no pattern')]);
    expect(faultsOf(z.string().regex(/^[a-z]+$/))).toEqual(['it: has no maximum length']);
    expect(faultsOf(z.record(z.string().max(3), z.int()))).toEqual(['it.keyType: has no pattern']);
    for (const loose of [
      /^.*$/,
      /^[^\n]*$/,
      /[a-z]/,
      /^a|b$/,
      /^\s$/,
      /^[a-z]*$/m,
      /^(?!x)[^a]*$/u,
      /^\P{L}$/u,
    ]) {
      expect(faultsOf(z.string().max(9).regex(loose)), String(loose)).toHaveLength(1);
    }
    expect(
      faultsOf(
        z
          .string()
          .max(9)
          .regex(/^(?=.)[a-z]{2}( [\x21-\x7e]+)?$/),
      ),
    ).toEqual([]);
    expect(faultsOf(CHAT_TEXT)).toEqual([]);
  });
});
