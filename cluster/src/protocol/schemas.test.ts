import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { looseStrings, schemasOf } from '../testing/schema-walk.ts';
import type { NamedSchema } from '../testing/schema-walk.ts';
import { CHAT_TEXT } from './room.ts';
import { LINES } from './text.ts';

const SOURCES = fileURLToPath(new URL('../', import.meta.url));
/** What the operator writes into the environment crosses no wire; it is named so. */
const isSetting = ({ name }: NamedSchema): boolean => /Settings?\b|SETTINGS\b/.test(name);
const isLines = (pattern: RegExp): boolean => pattern.source === LINES.source;
const faultsOf = (schema: z.ZodType): string[] => looseStrings({ name: 'it', schema }, isLines);

describe('schemas', () => {
  it('[MS1] no string of any message, token or record holds what a person or a parser would trip over', async () => {
    const schemas = (await schemasOf(SOURCES, ['testing/'])).filter((one) => !isSetting(one));
    const names = schemas.map(({ name }) => name).join('\n');
    for (const known of [
      'join payload',
      'hello payload',
      'JOIN_GRANTS',
      'SESSION_CLAIMS',
      'STORED_TRACK',
      'EDGE_RECORD',
    ]) {
      expect(names).toContain(known);
    }
    expect(schemas.flatMap((schema) => looseStrings(schema, isLines))).toEqual([]);
  });

  it('[MS1] finds a string that is loose, however deep', () => {
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
