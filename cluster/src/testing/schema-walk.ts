/** Looks at schemas from outside: which strings they let through. */
import { RegExpParser, visitRegExpAST } from '@eslint-community/regexpp';
import { z } from 'zod';
import { SURROGATE_PAIR } from '../protocol/text.ts';

/** One of each kind that no text may hold: C0, DEL, C1, separators, overrides, isolates, an unpaired surrogate. */
const FORBIDDEN = [
  ...['\u0000', '\u0008', '\t', '\n', '\u000b', '\r', '\u001b', '\u007f', '\u0080', '\u0085', '\u009f'],
  ...['\u2028', '\u2029', '\u202a', '\u202e', '\u2066', '\u2069', '\ud800', '\udc00'],
];
/** Of texts of several lines. */
const LINE_BREAKS: readonly string[] = ['\n', '\t'];

export interface NamedSchema {
  readonly name: string;
  readonly schema: z.core.$ZodType;
}

/** What is wrong with the strings of a schema, by the path to each. @param isLines - of a pattern that may hold line ends */
export function looseStrings({ name, schema }: NamedSchema, isLines: (pattern: RegExp) => boolean): string[] {
  const faults: string[] = [];
  const seen = new Set<z.core.$ZodType>();
  const visit = (one: z.core.$ZodType, path: string): void => {
    if (seen.has(one)) return;
    seen.add(one);
    if (one instanceof z.core.$ZodString || one instanceof z.core.$ZodStringFormat) {
      const fault = faultOfString(one, isLines);
      if (fault !== undefined) faults.push(`${path}: ${fault}`);
      return;
    }
    for (const [key, part] of partsOf(one)) visit(part, `${path}.${key}`);
  };
  visit(schema, name);
  return faults;
}

/** Of a schema that is made of others: those, as zod keeps them in its definition. */
function partsOf(schema: z.core.$ZodType): [string, z.core.$ZodType][] {
  const parts: [string, z.core.$ZodType][] = [];
  const add = (key: string, value: unknown): void => {
    if (value instanceof z.core.$ZodType) parts.push([key, value]);
    else if (Array.isArray(value))
      value.forEach((one, index) => {
        add(`${key}[${index}]`, one);
      });
    else if (key === 'shape' && typeof value === 'object' && value !== null) {
      for (const [field, one] of Object.entries(value)) add(field, one);
    }
  };
  for (const key of [
    'shape',
    'element',
    'items',
    'rest',
    'options',
    'keyType',
    'valueType',
    'innerType',
    'in',
    'out',
    'left',
    'right',
  ]) {
    add(key, Reflect.get(schema._zod.def, key));
  }
  return parts;
}

function faultOfString(schema: z.core.$ZodType, isLines: (pattern: RegExp) => boolean): string | undefined {
  const rules: object[] = [schema._zod.def, ...(schema._zod.def.checks ?? []).map((check) => check._zod.def)];
  const settings = (name: string): unknown[] => rules.map((rule): unknown => Reflect.get(rule, name));
  const patterns = settings('pattern').filter((pattern) => pattern instanceof RegExp);
  // A UUID has its length in its pattern.
  const isBounded =
    settings('maximum').some((maximum) => typeof maximum === 'number') || settings('format').includes('uuid');
  if (!isBounded) return 'has no maximum length';
  if (patterns.length === 0) return 'has no pattern';
  for (const character of FORBIDDEN) {
    const isAllowed = LINE_BREAKS.includes(character) && patterns.some(isLines);
    if (!isAllowed && patterns.every((pattern) => lets(pattern, character))) {
      return `lets U+${character.charCodeAt(0).toString(16).padStart(4, '0')} through`;
    }
  }
  return undefined;
}

/** A pair of surrogates is one character that is allowed; its halves are looked at elsewhere in the pattern. */
const withoutPairs = ({ source }: RegExp): string => source.replaceAll(SURROGATE_PAIR, '');

/** Whether some text that the pattern matches may hold the character: where in doubt, it may. */
function lets(pattern: RegExp, character: string): boolean {
  const ast = new RegExpParser().parseLiteral(`/${withoutPairs(pattern)}/${pattern.flags}`);
  const isAnchored = ast.pattern.alternatives.every(({ elements }) => {
    const [first, last] = [elements[0], elements.at(-1)];
    return (
      first?.type === 'Assertion' &&
      first.kind === 'start' &&
      last?.type === 'Assertion' &&
      last.kind === 'end'
    );
  });
  if (!isAnchored || pattern.flags.includes('m')) return true;
  let found = false;
  let looking = 0;
  const matches = (raw: string): void => {
    if (looking === 0 && new RegExp(`^${raw}$`, pattern.flags).test(character)) found = true;
  };
  visitRegExpAST(ast.pattern, {
    onAssertionEnter: ({ kind }) => {
      if (kind === 'lookahead' || kind === 'lookbehind') looking += 1;
    },
    onAssertionLeave: ({ kind }) => {
      if (kind === 'lookahead' || kind === 'lookbehind') looking -= 1;
    },
    onCharacterClassEnter: ({ raw }) => {
      matches(raw);
      looking += 1;
    },
    onCharacterClassLeave: () => {
      looking -= 1;
    },
    onCharacterEnter: ({ raw }) => {
      matches(raw);
    },
    onCharacterSetEnter: ({ raw }) => {
      matches(raw);
    },
  });
  return found;
}
