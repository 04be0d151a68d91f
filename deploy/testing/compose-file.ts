import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

/** The part of a compose file that our tests read. It is strict: an unknown field of a service fails them. */
const SERVICE = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  network_mode: z.literal('host'),
  restart: z.literal('unless-stopped'),
  init: z.boolean().optional(),
  environment: z.record(z.string(), z.string()).default({}),
  secrets: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  ulimits: z.strictObject({ nofile: z.strictObject({ soft: z.int(), hard: z.int() }) }),
  stop_grace_period: z.string().regex(/^\d+s$/),
  healthcheck: z.strictObject({
    test: z.array(z.string()).min(2),
    interval: z.string(),
    timeout: z.string(),
    start_period: z.string(),
    retries: z.int(),
  }),
  cap_drop: z.array(z.string()).optional(),
  cap_add: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  read_only: z.boolean().optional(),
  logging: z.strictObject({ driver: z.string(), options: z.record(z.string(), z.string()) }),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal('service_healthy') })).optional(),
});

const COMPOSE_FILE = z.object({
  services: z.record(z.string(), SERVICE),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
});

export type Service = z.infer<typeof SERVICE>;
export type ComposeFile = z.infer<typeof COMPOSE_FILE>;

/** Reads a compose file with its variables filled in, as compose does it. @throws Error what is wrong with it */
export function readComposeFile(path: string, variables: Readonly<Record<string, string>>): ComposeFile {
  // Variables are filled in after the YAML has been read, so a value never changes its type or the structure.
  const fill = (_key: unknown, value: unknown) =>
    typeof value === 'string' ? interpolate(value, variables) : value;
  return COMPOSE_FILE.parse(parse(readFileSync(path, 'utf8'), fill, { merge: true }));
}

/**
 * Fills in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`.
 * @throws Error where a value is required and missing, or where a `$` is none of these
 */
export function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(
    /\$(?:\{([A-Z_]+)(?::([-?])([^}]*))?\})?/g,
    (found: string, name?: string, operator?: string, rest?: string) => {
      if (name === undefined) throw new Error(`A $ without a variable: ${found}`);
      const value = variables[name] ?? '';
      if (value !== '') return value;
      if (operator === '-') return rest ?? '';
      throw new Error(`${name} is not set (${rest ?? 'and has no default'})`);
    },
  );
}

/** Reads the `NAME=value` lines of an `.env` file. */
export function readEnvFile(path: string): Record<string, string> {
  const lines = readFileSync(path, 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value]];
    }),
  );
}

/** The parts of a Dockerfile that our tests hold to the repository. */
export interface ImageFile {
  /** Of the last stage. */
  readonly command: readonly string[];
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly healthcheck: readonly string[];
  /** Files that come from the repository as they are. */
  readonly copied: readonly string[];
}

export function readImageFile(path: string): ImageFile {
  const text = readFileSync(path, 'utf8').replace(/\\\n/g, ' ');
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const execForm = (pattern: RegExp): string[] => {
    const found = pattern.exec(stage)?.[1];
    if (found === undefined) throw new Error(`${path} has no ${pattern.source} in exec form`);
    return z.array(z.string()).parse(JSON.parse(found));
  };
  const environment = [...stage.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = '']) =>
    [...line.matchAll(/([A-Z_]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value] as const),
  );
  return {
    command: execForm(/^CMD (\[.*\])$/m),
    user: /^USER (\S+)$/m.exec(stage)?.[1] ?? 'root',
    environment: Object.fromEntries(environment),
    healthcheck: execForm(/^HEALTHCHECK .*CMD (\[.*\])$/m),
    copied: [...stage.matchAll(/^COPY (?!--from)(\S+) /gm)].map(([, source = '']) => source),
  };
}
