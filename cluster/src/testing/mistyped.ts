/** What people type into settings by mistake. */
import { ConfigError } from '../process/config.ts';

/** A secret that was typed into the wrong place, such as one with the letters of base64. */
export const MISPLACED = 'Zm9v+YmFyYmF6/cXV4cXV1eGNvcmdlZ3JhdWx0Z2Fy=';

/** Values of another form than that of the setting, some of them with a secret. */
export const MISTYPED = [
  '10.1.0.21:4000',
  '10.1.0.21',
  'fd00::1',
  'h:',
  'http://',
  'ws://h:4000',
  'https://*.example.org',
  'http://0.0.0.0:3000',
  '[',
  '%',
  '/',
  ',',
  '-',
  '=',
  '0-0',
  '5s',
  'true',
  '{"a":1}',
  'caf\u00E9',
  'x'.repeat(5_000),
  MISPLACED,
  `acme:${MISPLACED}`,
  `acme=${MISPLACED}`,
  `acme:${MISPLACED}=500/20`,
  `https://user:${MISPLACED}@example.org/jwks.json`,
  `acme=https://user:${MISPLACED}@example.org/jwks.json`,
  `redis://:${MISPLACED}@10.1.0.31:6379/0`,
] as const;

/**
 * Each setting with each mistyped value, given directly and as the file's path, of which the reader makes something else than a
 * list of faults that begin with the setting's name, or repeats a secret.
 */
export function mishandledSettings(
  names: readonly string[],
  good: Readonly<Record<string, string>>,
  read: (environment: Readonly<Record<string, string>>) => unknown,
): string[] {
  const tries = names.flatMap((name) =>
    MISTYPED.flatMap((value) => [
      { name, value, environment: { ...good, [name]: value } },
      { name, value, environment: { ...without(good, name), [`${name}_FILE`]: value } },
    ]),
  );
  return tries.flatMap(({ name, value, environment }) => {
    const wrong = wrongIn(() => read(environment));
    return wrong === undefined ? [] : [`${name}=${value.slice(0, 80)}: ${wrong}`];
  });
}

function without(environment: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter(([each]) => each !== name));
}

function wrongIn(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) return `threw ${String(error)}`;
    const text = error.faults.join('\n');
    if (text.includes(MISPLACED)) return `repeats a secret: ${text}`;
    return error.faults.find((fault) => !/^[A-Z_]+: ./.test(fault));
  }
}
