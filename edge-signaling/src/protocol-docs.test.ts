import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ERROR_TABLE } from '@plenary/cluster';
import * as protocol from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EDGE_SETTINGS } from './config.ts';
import { mayPublish, mayPublishAnything } from './entry/permissions.ts';
import { FLOOD_SETTINGS } from './limits/flood-settings.ts';
import { BUDGETS } from './limits/budget.ts';
import { REQUEST_COSTS } from './limits/cost.ts';
import { CONNECTION_REFUSALS } from './transport/connection-refusals.ts';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const { CLIENT_REQUESTS, EDGE_NOTICES } = protocol;

function chapter(title: string): string {
  const start = page.indexOf(`\n## ${title}\n`);
  expect(start, `the chapter ${title}`).toBeGreaterThan(0);
  const end = page.indexOf('\n## ', start + 1);
  return page.slice(start, end < 0 ? undefined : end);
}

const headings = (text: string): string[] =>
  [...text.matchAll(/^### `([\w.]+)`$/gm)].map(([, name = '']) => name);
const rows = (text: string): string[][] =>
  [...text.matchAll(/^\| `([\w.]+)` \| (.*) \|$/gm)].map(([, name = '', rest = '']) => [
    name,
    ...rest.split(' | '),
  ]);

function example(kind: 'payload' | 'reply' | 'notice', name: string): unknown {
  const fence = `\`\`\`json ${kind}:${name}\n`;
  const start = page.indexOf(fence);
  expect(start, `an example of the ${kind} of ${name}`).toBeGreaterThan(0);
  return JSON.parse(page.slice(start + fence.length, page.indexOf('\n```', start)));
}

function section(chapterTitle: string, name: string): string {
  const text = chapter(chapterTitle);
  const start = text.indexOf(`### \`${name}\`\n`);
  const end = text.indexOf('\n### ', start);
  return text.slice(start, end < 0 ? undefined : end);
}

/** The names of an object schema's fields; none for a union. */
function fieldsOf(schema: z.ZodType): string[] {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null
    ? Object.keys(schema.shape)
    : [];
}

/** That an example fits, and has no field, however deep, that the message does not have: parsing drops those. */
function expectNothingBeside(schema: z.ZodType, given: unknown): void {
  expect(schema.parse(given)).toEqual(given);
}

/** The schema of a message as the JSON Schema that edges serve says it. */
function bySchema(name: string): z.ZodType {
  const file = fileURLToPath(import.meta.resolve('@plenary/cluster/protocol-schema.json'));
  const schema = z.custom<z.core.JSONSchema.BaseSchema>().parse(JSON.parse(readFileSync(file, 'utf8')));
  return z.fromJSONSchema({ $ref: `#/$defs/${name}`, $defs: schema.$defs ?? {} });
}

/** The numbers that the sources name, each with all its values: a limit has one. */
function constantsOfSources(): ReadonlyMap<string, readonly number[]> {
  const values = new Map<string, number[]>();
  for (const folder of ['cluster', 'edge-signaling', 'media-node']) {
    const root = new URL(`../../${folder}/src/`, import.meta.url);
    for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      if (!path.endsWith('.ts') || path.endsWith('.test.ts') || path.endsWith('.contract.ts')) continue;
      const text = readFileSync(new URL(path, root), 'utf8');
      for (const [, name = '', value = ''] of text.matchAll(/^(?:export )?const ([A-Z_]+) = ([\d_]+);$/gm))
        values.set(name, [...new Set([...(values.get(name) ?? []), Number(value.replaceAll('_', ''))])]);
    }
  }
  return values;
}

describe('docs/protocol.md', () => {
  it('[DC1] has each request and each notice, in the order of the schemas', () => {
    expect(headings(chapter('Requests'))).toEqual(Object.keys(CLIENT_REQUESTS));
    expect(headings(chapter('Notices'))).toEqual(Object.keys(EDGE_NOTICES));
  });

  it.each(Object.entries(CLIENT_REQUESTS))(
    '[DC1] [DC4] %s: examples that fit, and every field named',
    (name, definition) => {
      expectNothingBeside(definition.payload, example('payload', name));
      expectNothingBeside(definition.reply, example('reply', name));
      expect(bySchema(`request:${name}`).safeParse(example('payload', name)).error).toBeUndefined();
      expect(bySchema(`reply:${name}`).safeParse(example('reply', name)).error).toBeUndefined();
      const text = section('Requests', name);
      for (const field of [...fieldsOf(definition.payload), ...fieldsOf(definition.reply)]) {
        expect(text).toContain(field);
      }
    },
  );

  it('[DC1] has every reason for which a connection is refused', () => {
    const text = chapter('Transport and framing');
    const from = text.indexOf('status 403');
    const refusals = text.slice(from, text.indexOf('\n\n', from));
    for (const reason of CONNECTION_REFUSALS) expect(refusals).toContain(`\`${reason}\``);
  });

  it.each(Object.entries(EDGE_NOTICES))(
    '[DC1] [DC4] %s: an example that fits, and every field named',
    (name, definition) => {
      expectNothingBeside(definition.payload, example('notice', name));
      expect(bySchema(`notice:${name}`).safeParse(example('notice', name)).error).toBeUndefined();
      for (const field of fieldsOf(definition.payload)) expect(section('Notices', name)).toContain(field);
    },
  );

  it('[PR13] has the capabilities of all routers', () => {
    const fence = '```json capabilities\n';
    const start = page.indexOf(fence) + fence.length;
    const documented: unknown = JSON.parse(page.slice(start, page.indexOf('\n```', start)));
    expect(documented).toEqual(protocol.ROUTER_RTP_CAPABILITIES);
  });

  it('[PR7] says what each role may publish', () => {
    const documented = rows(chapter('Roles'));
    expect(documented.map(([role]) => role)).toEqual(protocol.ROLE.options);
    const publish = [...protocol.TRACK_SOURCE.options];
    for (const [role, publishes] of documented) {
      const grants = { role: protocol.ROLE.parse(role), publish };
      const isSaid = publishes === 'the sources in `publish` of its token';
      expect(isSaid || publishes === 'nothing, whatever `publish` says').toBe(true);
      expect([role, mayPublishAnything(grants)]).toEqual([role, isSaid]);
      for (const source of publish) {
        expect(mayPublish({ ...grants, publish: [source] }, source)).toBe(isSaid);
        expect(mayPublish({ ...grants, publish: publish.filter((other) => other !== source) }, source)).toBe(
          false,
        );
      }
    }
  });

  it('[PR4] names the versions that edges serve', () => {
    const newest = Math.max(...protocol.SERVED_PROTOCOL_VERSIONS);
    expect(protocol.PROTOCOL_VERSION).toBe(newest);
    expect(page).toContain(`[Version](#versions) ${newest}.`);
    expect(chapter('Versions').replaceAll('\n', ' ')).toContain(
      `today ${protocol.SERVED_PROTOCOL_VERSIONS.length === 1 ? `${newest} alone` : `${protocol.SERVED_PROTOCOL_VERSIONS.join(' and ')}`},`,
    );
  });

  it('[PR14] the JSON Schemas refuse what does not fit', () => {
    expect(bySchema('request:join').safeParse({}).success).toBe(false);
    expect(bySchema('request:sync').safeParse({ afterEventId: 'x' }).success).toBe(false);
    expect(bySchema('notice:head').safeParse({ lastEventId: '0-0', later: 1 }).success).toBe(true);
  });

  it('[DC1] names every type of event and every reason', () => {
    const text = section('Notices', 'event');
    const types = protocol.ROOM_EVENT.options.map((option) => option.shape.type.value);
    const reasons = [...protocol.LEAVE_REASON.options, ...protocol.TRACK_END_REASON.options];
    for (const word of protocol.MEDIA_LOSS_REASON.options)
      expect(section('Notices', 'media.lost')).toContain(`\`${word}\``);
    for (const word of [...types, ...reasons]) expect(text).toContain(`\`${word}\``);
  });

  it('[DC1] names every kind of entry, whose it is, and how many a room has', () => {
    const text = page.slice(page.indexOf('\n### Entries\n'), page.indexOf('\n## Requests\n'));
    const documented = rows(text).map(([kind, whose, , most]) => [kind, whose, Number(most)]);
    const words = { peer: 'a person’s', room: 'the room’s' };
    expect(documented).toEqual(
      protocol.ROOM_ENTRY_KINDS.map(({ kind, owner, maxOfKind }) => [kind, words[owner], maxOfKind]),
    );
    expect(text.replaceAll('\n', ' ')).toContain(
      `at most ${protocol.MAX_ENTRY_BYTES.toLocaleString('en')} bytes`,
    );
  });

  it('[DC2] has the whole table of errors', () => {
    const documented = rows(chapter('Errors'));
    const expected = Object.entries(ERROR_TABLE).map(([code, { retryable, summary }]) => [
      code,
      retryable ? 'yes' : 'no',
      summary,
    ]);
    expect(documented).toEqual(expected);
  });

  it('[DC2] errors that requests name are of the table', () => {
    const named = [...chapter('Requests').matchAll(/^Errors.*$/gm)].flatMap(([line]) =>
      [...line.matchAll(/`([a-z]+_[a-z_]+)`/g)].map(([, code = '']) => code),
    );
    expect(named.length).toBeGreaterThan(20);
    for (const code of named) expect(Object.keys(ERROR_TABLE)).toContain(code);
  });

  it('[DC3] states the limits as they are', () => {
    const limits = rows(chapter('Limits')).filter(([name = '']) => /^(?!PLENARY_)[A-Z_]+$/.test(name));
    expect(limits.length).toBeGreaterThan(30);
    const constants = constantsOfSources();
    for (const [name = '', value] of limits) {
      const own = new Map<string, unknown>(Object.entries(protocol)).get(name);
      // A name that the protocol does not have, the sources have for one value only.
      const values = own === undefined ? constants.get(name) : [own];
      expect([name, values]).toEqual([name, [Number(value)]]);
    }
    const settings = rows(chapter('Limits')).filter(([name = '']) => name.startsWith('PLENARY_'));
    for (const [name = '', value = ''] of settings) {
      const schema = new Map<string, z.ZodType>(Object.entries(EDGE_SETTINGS.shape)).get(name);
      expect([name, schema?.parse(undefined)]).toEqual([name, Number(value)]);
    }
    const costs = rows(chapter('Limits')).filter(
      ([name = '']) => /^[a-z.A-Z]+$/.test(name) && name in REQUEST_COSTS,
    );
    expect(Object.fromEntries(costs.map(([name, cost]) => [name, Number(cost)]))).toEqual(REQUEST_COSTS);
    const { work } = BUDGETS.session;
    const { patience, frames, bytes } = FLOOD_SETTINGS;
    const text = chapter('Limits').replaceAll('\n', ' ');
    expect(text).toContain(
      `may spend ${work.capacity} at once and gets back ${work.refillPerSecond} a second`,
    );
    expect(text).toContain(`${patience.capacity} refusals at once, ${patience.refillPerSecond} a second`);
    expect(text).toContain(`${frames.refillPerSecond} a second (${frames.capacity} at once)`);
    expect(text).toContain(
      `${bytes.refillPerSecond / 1_024} KiB a second (${bytes.capacity / 1_048_576} MiB at once)`,
    );
  });

  it('[DC5] links only to headings that exist', () => {
    const anchors = new Set(
      [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    for (const [, anchor = ''] of page.matchAll(/\]\(#([^)]*)\)/g)) expect([...anchors]).toContain(anchor);
  });
});
